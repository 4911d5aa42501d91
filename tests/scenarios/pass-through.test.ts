import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { deleteNetns } from '@nsm/netlink';
import { nftDropTcp } from '@nsm/netlink/testing';
import { startNetns } from '../worlds/netns.ts';
import { eventually } from '../worlds/world.ts';

/** From `a` on n1 through an endpoint there and one on n2 to a server there. Another server stands on n1. */
const chained = (name: string, payload: string, servers = '[server]'): string => `
name: ${name}
nodes: { n1: {}, n2: {} }
services:
  web:
    payload: ${payload}
    matches:
      - source_selector: { app: firewall }
        routes: [{ destination_selector: { app: counter } }]
      - source_selector: { app: counter }
        routes: [{ destination_selector: { app: server } }]
      - routes: [{ destination_selector: { app: firewall } }]
endpoints:
  firewall: { node: n1, services: [web], labels: { app: firewall }, env: { NSM_PASS_THROUGH: 'true' } }
  counter: { node: n2, services: [web], labels: { app: counter }, env: { NSM_PASS_THROUGH: 'true' } }
  server: { node: n2, services: [web], labels: { app: server }, prefixes: [172.16.1.0/24, 'fd00:1::/64'] }
${servers === '[server]' ? '' : "  other: { node: n1, services: [web], labels: { app: server }, prefixes: [172.16.2.0/24, 'fd00:2::/64'] }"}
clients:
  a: { node: n1, services: [kernel://web/nsm-1] }
`;

const PODS = ['a', 'firewall', 'counter', 'server'];
const script = (name: string): string => join(import.meta.dirname, '../worlds', name);

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

const start = async (...made: Parameters<typeof startNetns>) => {
  const started = (world = await startNetns(...made));
  await started.connected('a');
  return started;
};
type Started = Awaited<ReturnType<typeof start>>;

/** Where the client's packets go, without the prefix length. */
const targets = async ({ lab }: Started): Promise<string[]> => {
  const [connection] = await lab.connections('n1');
  const addresses = connection?.context?.ipContext?.dstIpAddrs ?? [];
  return addresses.map((address) => address.split('/')[0] ?? '');
};
const answers = async (w: Started): Promise<boolean[]> =>
  Promise.all((await targets(w)).map((address) => w.ping('a', address)));
const pathOf = async ({ lab }: Started) => {
  const all = await lab.connections('n1');
  return all.find(({ path }) => path?.index === 1)?.path?.pathSegments ?? [];
};
const linksOf = async (w: Started): Promise<string[][]> =>
  Promise.all(PODS.map(async (pod) => [...(await w.links(pod))]));

describe.each(['IP', 'ETHERNET'])('endpoints in a row, payload %s', (payload) => {
  test('the path goes through all of them, packets pass, and a filter in the first one decides which', async () => {
    const w = await start(chained('pthr', payload));
    expect((await pathOf(w)).map(({ name }) => name)).toEqual([
      ...['a', 'n1', 'forwarder-n1', 'firewall'],
      ...['firewall-client', 'n1', 'forwarder-n1', 'n2', 'forwarder-n2', 'counter'],
      ...['counter-client', 'n2', 'forwarder-n2', 'server'],
    ]);
    expect(await answers(w)).toEqual([true, true]);
    const mtus = PODS.flatMap((pod) => w.lab.addresses(pod).map(({ mtu }) => mtu));
    expect(new Set(mtus).size).toBe(1); // a bridge drops what is too large for the next wire

    const [to = ''] = await targets(w);
    const servers = ['8080', '8081'].map((port) =>
      w.lab.spawn('server', [process.execPath, script('http-server.mjs'), to, port, '100000'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    await Promise.all(servers.map((server) => once(server.stdout!, 'data')));
    const fetch = (port: string): Promise<string> =>
      w.lab
        .exec('a', [process.execPath, script('http-fetch.mjs'), `http://${to}:${port}/`], {
          signal: AbortSignal.timeout(2_000),
        })
        .then(({ stdout }) => stdout, String);
    expect(await fetch('8080')).toContain('"intact":true');
    nftDropTcp(w.lab.netns('firewall'), 'firewall', 8080);
    expect(await fetch('8080')).not.toContain('intact');
    expect(await fetch('8081')).toContain('"intact":true');
    expect(await answers(w)).toEqual([true, true]);
    for (const server of servers) {
      server.kill();
      await once(server, 'exit');
    }
  });
});

test('a refresh keeps ids and interfaces, and a close leaves nothing', async () => {
  const w = await start(chained('ptre', 'IP'), { tokenLifetime: '5s' });
  const ids = async () => (await pathOf(w)).map(({ id }) => id);
  const [path, links] = [await ids(), await linksOf(w)];
  await eventually(
    () => w.refreshes('a'),
    (count) => count >= 2,
  );
  expect(await ids()).toEqual(path);
  expect(await linksOf(w)).toEqual(links);
  await w.end('a');
  await eventually(
    () => linksOf(w),
    (all) => all.every((pod) => pod.length === 0),
  );
  for (const node of ['n1', 'n2']) expect(await w.lab.connections(node)).toEqual([]);
  const before = JSON.stringify(await w.census());
  await w.start('a');
  await w.connected('a');
  await w.end('a');
  await eventually(w.census, (now) => JSON.stringify(now) === before);
});

test('one in the middle that is killed and comes back loses no packet', async () => {
  const w = await start(chained('ptki', 'IP', 'two'));
  const [to = ''] = await targets(w);
  const links = await linksOf(w);
  const path = (await pathOf(w)).map(({ name }) => name);
  const over = new AbortController();
  const pings = (async () => {
    let missing = 0;
    while (!over.signal.aborted) {
      const { sent, received } = await w.lab.ping('a', to, { count: 50, intervalMs: 5 });
      missing += sent - received;
    }
    return missing;
  })();
  for (const [heals, pod] of ['firewall', 'counter'].entries()) {
    await w.kill(pod);
    await w.start(pod);
    await eventually(
      () => w.heals('a'),
      (count) => count > heals,
    );
  }
  over.abort();
  expect(await pings).toBe(0);
  expect(await linksOf(w)).toEqual(links);
  expect((await pathOf(w)).map(({ name }) => name)).toEqual(path);
});

test('when the last endpoint is gone, the wire goes on to another one through the same', async () => {
  const w = await start(chained('pthe', 'IP', 'two'));
  const last = async () => (await pathOf(w)).at(-1)?.name ?? '';
  const victim = await last();
  await w.kill(victim);
  deleteNetns(w.lab.netns(victim));
  const names = ['server', 'other'];
  await eventually(last, (name) => names.includes(name) && name !== victim);
  await eventually(
    () => answers(w),
    (all) => all.length === 2 && all.every(Boolean),
  );
  expect((await pathOf(w)).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['firewall', 'counter']),
  );
});
