import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { formatPrefix, parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  getLink,
  listAllRoutes,
  listRules,
  RTPROT_NSM,
  withRtnetlink,
} from '@nsm/netlink';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

/** An address of the endpoint that nobody has a route to, but for policies. */
const SERVER = '192.0.2.1';
const script = (name: string): string => join(import.meta.dirname, '../worlds', name);

let folder: string;
let file: string;
let world: Awaited<ReturnType<typeof startNetns>> | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-policies-'));
  file = join(folder, 'config.yaml');
});
afterEach(async () => {
  await world?.stop();
  world = undefined;
  rmSync(folder, { recursive: true });
});

const write = (text: string): void => {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
};

/** The rules of the mesh in a pod, and the routes of their tables. */
const policiesOf = (netns: string): string[] =>
  withRtnetlink(netns, (rtnetlink) => {
    const rules = listRules(rtnetlink).filter(({ protocol }) => protocol === RTPROT_NSM);
    const tables = new Set(rules.map(({ table }) => table));
    return [
      ...rules.map(({ ipproto, dport, table }) => `rule ${ipproto} ${dport?.start} table ${table}`),
      ...listAllRoutes(rtnetlink)
        .filter(({ table, type }) => tables.has(table) && type === 1)
        .map(({ to, table }) => `route ${formatPrefix(to)} table ${table}`),
    ];
  });

test.each([
  ['local', 'near', 'nse-near'],
  ['remote', 'far', 'nse-far'],
])(
  'packets to a port take the policy route of a %s endpoint, until it is changed and closed',
  async (_kind, service, endpoint) => {
    write('- { proto: 6, dstport: 8080 }');
    const started = await startNetns(
      twoNodes('pbr', `  a: { node: n1, services: [kernel://${service}/nsm-1] }`, {
        env: `{ NSM_PBR_CONFIG_PATH: ${file} }`,
      }),
    );
    world = started;
    const { lab } = started;
    await started.connected('a');
    const netns = started.netns('a');
    expect(policiesOf(netns)).toEqual(['rule 6 8080 table 1', 'route 0.0.0.0/0 table 1']);

    withRtnetlink(started.netns(endpoint), (rtnetlink) =>
      rtnetlink.request([addressReplace(getLink(rtnetlink, 'lo')!, parsePrefix(`${SERVER}/32`))]),
    );
    const servers = ['8080', '8081'].map((port) =>
      lab.spawn(endpoint, [process.execPath, script('http-server.mjs'), SERVER, port, '1000'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    await Promise.all(servers.map((server) => once(server.stdout!, 'data')));
    const fetch = (port: string): Promise<unknown> =>
      lab
        .exec('a', [process.execPath, script('http-fetch.mjs'), `http://${SERVER}:${port}/`])
        .then(({ stdout, stderr }) => stdout || stderr, String);
    expect(await fetch('8080')).toContain('"intact":true');
    expect(await fetch('8081')).toContain('ENETUNREACH');

    write('- { proto: 6, dstport: 8081 }');
    await eventually(
      async () => policiesOf(netns),
      ([rule]) => rule?.startsWith('rule 6 8081 ') === true,
      20_000,
    );
    expect(policiesOf(netns)).toHaveLength(2);
    expect(await fetch('8081')).toContain('"intact":true');
    expect(await fetch('8080')).toContain('ENETUNREACH');

    for (const server of servers) {
      server.kill();
      await once(server, 'exit');
    }
    await started.end('a');
    expect(policiesOf(netns)).toEqual([]);
  },
);
