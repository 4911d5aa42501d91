import { execFile } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseAddress, parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  awaitLink,
  createNetns,
  getLink,
  linkDelete,
  linkSet,
  listLinks,
  neighbourReplace,
  openNetns,
  ping,
  routeReplace,
  vethAdd,
  withRtnetlink,
  writeSysctl,
} from '@nsm/netlink';
import { twoNamespaces } from '@nsm/netlink/testing';
import { createJoints, type Joints } from './joints.ts';

/** From the client in `a` through the middle to the server in `b`; the middle has the addresses of both, as forwarders give them. */
const two = twoNamespaces();
const CLIENT = { address: '172.16.1.1', mac: '02:00:00:00:00:01' };
const SERVER = { address: '172.16.1.0', mac: '02:00:00:00:00:02' };
let middle: string;
let joints: Joints | undefined;
/** Whether link-layer addresses are asked for, as with payload ETHERNET. */
let asks = false;
const faults: unknown[] = [];
const open = (): Joints =>
  (joints = createJoints({ netns: middle, onFault: (...fault) => faults.push(fault) }));

beforeEach(() => {
  middle = join(two.directory, 'middle');
  createNetns(middle);
  // Where packets from own addresses are believed, the bridge could answer who asks for the server.
  writeSysctl(middle, 'net/ipv4/conf/all/accept_local', '1');
  faults.length = 0;
  asks = false;
});
afterEach(() => {
  joints?.close();
  joints = undefined;
});

/** One end of a wire: its address, a route to the other one and, unless that is asked for, its link-layer address. */
function address(netns: string, name: string, own: typeof CLIENT, peer: typeof CLIENT): void {
  withRtnetlink(netns, (rtnetlink) => {
    const link = getLink(rtnetlink, name);
    if (link === undefined) throw new Error(`there is no ${name}`);
    rtnetlink.request([
      linkSet(link, { up: true }),
      addressReplace(link, parsePrefix(`${own.address}/32`)),
      routeReplace(link, { to: parsePrefix(`${peer.address}/32`), scope: 'link' }),
      ...(asks
        ? []
        : [
            neighbourReplace(link, {
              to: parseAddress(peer.address),
              mac: peer.mac,
              state: 'permanent',
            }),
          ]),
    ]);
  });
}

function wire(client: readonly [string, string], server: readonly [string, string]): void {
  const there = openNetns(server[0]);
  try {
    withRtnetlink(client[0], (rtnetlink) =>
      rtnetlink.request([
        vethAdd(
          { name: client[1], mac: CLIENT.mac },
          { name: server[1], mac: SERVER.mac, netns: there },
        ),
      ]),
    );
  } finally {
    closeSync(there);
  }
  address(...client, CLIENT, SERVER);
  address(...server, SERVER, CLIENT);
  for (const [netns, name] of [client, server])
    withRtnetlink(netns, (rtnetlink) => awaitLink(rtnetlink, getLink(rtnetlink, name)!.index));
}

const ECHOES = 3;
const passes = async (): Promise<boolean> => {
  const echo = { netns: two.a, src: CLIENT.address, dst: SERVER.address };
  return (await ping({ ...echo, count: ECHOES, intervalMs: 20, timeoutMs: 300 })).received > 0;
};
/** What the server has got; the middle, which has its address, must not answer in its place. */
const received = (): bigint =>
  withRtnetlink(two.b, (rtnetlink) => getLink(rtnetlink, 'server', { counters: true }))!.counters!
    .rxPackets;
const linksOf = () => withRtnetlink(middle, listLinks);
const bridges = () => linksOf().filter(({ kind }) => kind === 'bridge');
const joined = () => linksOf().filter(({ master }) => master !== undefined).length;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

test.each([
  ['IP', false],
  ['ETHERNET', true],
])(
  'two interfaces are one wire of payload %s, whichever comes first, also when nobody looks after it',
  async (_payload, asked) => {
    asks = asked;
    const made = open();
    wire([middle, 'out'], [two.b, 'server']);
    made.join('c1', ['in', 'out']);
    wire([two.a, 'client'], [middle, 'in']);
    await until(() => joined() === 2);
    const before = received();
    expect(await passes()).toBe(true);
    expect(received() - before).toBeGreaterThanOrEqual(BigInt(ECHOES));
    made.join('c1', ['in', 'out']);
    made.close();
    expect(await passes()).toBe(true);
    const again = open();
    again.join('c1', ['in', 'out']);
    expect(await passes()).toBe(true);
    again.part('c1');
    expect(await passes()).toBe(false);
    again.part('c1');
    expect(faults).toEqual([]);
  },
);

test('what an earlier process has joined is removed when its wires have gone', async () => {
  const first = open();
  wire([middle, 'out'], [two.b, 'server']);
  wire([two.a, 'client'], [middle, 'in']);
  first.join('c1', ['in', 'out']);
  first.join('c2', ['in2', 'out2']);
  first.close();
  expect(bridges()).toHaveLength(2);
  open();
  expect(bridges().map(({ alias }) => alias)).toEqual(['nsm-joint:c1']);
  for (const name of ['in', 'out'])
    withRtnetlink(middle, (rtnetlink) =>
      rtnetlink.request([linkDelete(getLink(rtnetlink, name)!)]),
    );
  await until(() => bridges().length === 0);
});

test('a process that may not make bridges is told so at once', async () => {
  const script = `
    import { createJoints } from ${JSON.stringify(join(import.meta.dirname, 'joints.ts'))};
    try { createJoints({ onFault: () => undefined }); } catch (err) { console.log(err.code); }`;
  const { stdout } = await promisify(execFile)('nsenter', [
    `--net=${middle}`,
    ...['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
    ...[process.execPath, '--conditions=source', '--input-type=module', '--eval', script],
  ]);
  expect(stdout.trim()).toBe('EPERM');
  expect(bridges()).toEqual([]);
});
