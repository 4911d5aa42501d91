import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join, parse } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from '@jest/globals';
import { startNetns } from '../worlds/netns.ts';
import { eventually } from '../worlds/world.ts';

const { NSM_WIREGUARD_GO: program = 'wireguard-go' } = process.env;
const NODE = `{ env: { NSM_MECHANISM_PRIORITY: WIREGUARD, NSM_WIREGUARD_GO: '${program}', NSM_LOG_LEVEL: debug } }`;
const topology = (name: string, payload = 'IP'): string => `
name: ${name}
nodes:
  n1: ${NODE}
  n2: ${NODE}
services:
  far: { payload: ${payload} }
endpoints:
  nse-far: { node: n2, services: [far], prefixes: [172.16.2.0/24, 'fd00:2::/64'] }
clients:
  a: { node: n1, services: [kernel://far/nsm-1] }
`;
/** Of a tunnel over IPv4 and Ethernet: 1500 less 60. */
const MTU = 1440;
const IPV4_AND_ICMP = 28;

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

async function started(name: string, options?: { tokenLifetime?: string; payload?: string }) {
  const w = await startNetns(topology(name, options?.payload), options);
  world = w;
  await w.connected('a');
  const [wire] = await w.wires();
  return { w, addresses: wire!.endpointAddresses.map((text) => text.split('/')[0]!) };
}

/** Names of the devices that this file's meshes have had. */
const names = new Set<string>();

/** Every wireguard-go of this mount namespace: its process and its socket. Other meshes of the machine share the folder of sockets. */
function devices(): { readonly pids: string[]; readonly sockets: string[] } {
  const pids = readdirSync('/proc').filter((pid) => {
    const device = /^\d+$/.test(pid) ? deviceOf(pid) : undefined;
    if (device !== undefined) names.add(device);
    return device !== undefined;
  });
  const sockets = readdirSync('/var/run/wireguard').filter((file) => names.has(parse(file).name));
  return { pids, sockets };
}

test('a remote wire by WIREGUARD carries IPv4 and IPv6, and packets of its MTU but none larger', async () => {
  const { w, addresses } = await started('wgmtu');
  expect(await w.wires()).toMatchObject([{ mechanism: 'wireguard', mtu: MTU }]);
  for (const address of addresses) {
    await eventually(() => w.ping('a', address), Boolean);
  }
  const [four] = addresses;
  const ping = (size: number) =>
    w.lab.ping('a', four!, { size: size - IPV4_AND_ICMP, dontFragment: true });
  expect(await ping(MTU)).toMatchObject({ received: 1 });
  expect(await ping(MTU + 1)).toMatchObject({ received: 0, errors: [expect.anything()] });
});

test('carries 10 MB over HTTP intact', async () => {
  const { w, addresses } = await started('wgtcp');
  const [address] = addresses;
  const script = (file: string): string => join(import.meta.dirname, '../worlds', file);
  const server = w.lab.spawn(
    'nse-far',
    [process.execPath, script('http-server.mjs'), address!, '8080', '10000000'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(server.stdout!, 'data');
  const { stdout } = await w.lab.exec('a', [
    process.execPath,
    script('http-fetch.mjs'),
    `http://${address!}:8080/`,
  ]);
  expect(JSON.parse(stdout)).toEqual({ bytes: 10_000_000, intact: true });
  server.kill();
  await once(server, 'exit');
});

test('forwarders that are killed and come back keep its processes, and no packet is lost', async () => {
  const { w, addresses } = await started('wgkill', { tokenLifetime: '20s' });
  const [address] = addresses;
  await eventually(() => w.ping('a', address!), Boolean);
  const before = { devices: devices(), links: [await w.links('a'), await w.links('nse-far')] };
  expect(before.devices).toMatchObject({ pids: { length: 2 }, sockets: { length: 2 } });
  const pinging = w.lab.ping('a', address!, { count: 150, intervalMs: 100, timeoutMs: 1_000 });
  for (const forwarder of ['forwarder-n1', 'forwarder-n2']) {
    await w.kill(forwarder);
    await w.start(forwarder);
  }
  const seen = await w.refreshes('a');
  await eventually(
    () => w.refreshes('a'),
    (count) => count >= seen + 2,
    30_000,
  );
  expect({ devices: devices(), links: [await w.links('a'), await w.links('nse-far')] }).toEqual(
    before,
  );
  expect(await pinging).toMatchObject({ sent: 150, received: 150, errors: [] });
});

test('its private keys are in no argument, no environment and no log', async () => {
  const { w } = await started('wgkeys');
  const { pids, sockets } = devices();
  const keys = await Promise.all(sockets.map(privateKeyOf));
  expect(keys).toEqual([
    expect.stringMatching(/^[0-9a-f]{64}$/),
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
  const told = [
    ...pids.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]),
    ...w.lab.processes().map(({ log }) => log),
  ].map((file) => readFileSync(file, 'utf8'));
  expect(told.some((log) => log.includes('"level":"debug"'))).toBe(true);
  for (const key of keys)
    for (const encoding of ['hex', 'base64'] as const) {
      const secret = Buffer.from(key, 'hex').toString(encoding);
      expect(told.filter((text) => text.includes(secret))).toEqual([]);
    }
});

test('a process that dies is replaced at the next refresh', async () => {
  const { w, addresses } = await started('wgdead', { tokenLifetime: '5s' });
  const { pids } = devices();
  for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
  await eventually(() => w.ping('a', addresses[0]!), Boolean, 20_000);
  expect(devices().pids).toHaveLength(2);
  expect(devices().pids).not.toEqual(pids);
});

test('a close leaves no process, no socket and no interface', async () => {
  const { w } = await started('wgclos');
  expect(devices()).toMatchObject({ pids: { length: 2 }, sockets: { length: 2 } });
  await w.end('a');
  expect(devices()).toEqual({ pids: [], sockets: [] });
  expect([await w.links('a'), await w.links('nse-far')]).toEqual([[], []]);
});

test('payload ETHERNET goes by VXLAN, whatever is preferred', async () => {
  const { w } = await started('wgeth', { payload: 'ETHERNET' });
  const [wire] = await w.wires();
  expect(wire!.mechanism).toMatch(/^vxlan /);
});

/** What a device has as its private key, in hexadecimal: whoever may open its socket may ask (https://www.wireguard.com/xplatform/). */
async function privateKeyOf(socket: string): Promise<string> {
  const connection = createConnection(join('/var/run/wireguard', socket));
  connection.end('get=1\n\n');
  return /^private_key=(.*)$/m.exec(await text(connection))?.[1] ?? '';
}

/** The name of the device of a process, if it is a wireguard-go of a forwarder here. */
function deviceOf(pid: string): string | undefined {
  try {
    const here = readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt');
    const [, , device = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return here && /^nw[0-9a-f]{13}$/.test(device) ? device : undefined;
  } catch {
    return undefined;
  }
}
