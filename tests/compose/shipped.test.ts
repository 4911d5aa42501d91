import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ping } from '@nsm/netlink';
import { createProject, type Project } from '../worlds/compose-project.ts';
import { linksOf } from '../worlds/links.ts';
import { eventually } from '../worlds/world.ts';

const FILE = join(import.meta.dirname, '../../docker-compose.yml');
const PODS = ['web', 'db', 'alice', 'bob-net'];

/** What of a wire is the same as long as it is the same wire. */
interface Wire {
  readonly connection: string;
  readonly service: string;
  readonly endpoint: string;
  readonly state: string;
  readonly interface: string;
  readonly endpointAddresses: readonly string[];
}

let folder: string;
let mesh: Project;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  mesh = createProject('nsm-shipped', folder, FILE, { NSM_MAX_TOKEN_LIFETIME: '30s' });
  await mesh.up();
});
afterAll(async () => {
  await mesh.down();
  rmSync(folder, { recursive: true, force: true });
});

/** The wires of the clients of a node, as the command line in it shows them. */
const wiresAt = async (node: string): Promise<Wire[]> =>
  (JSON.parse(await mesh.exec(node, 'nsm', 'get', 'connections', '-o', 'json')) as Wire[])
    .filter((wire) => wire.interface !== '')
    .map(({ connection, service, endpoint, state, interface: name, endpointAddresses }) => ({
      connection,
      service,
      endpoint,
      state,
      interface: name,
      endpointAddresses,
    }));
/** A manager that is being killed knows none. */
const allWires = async (): Promise<Wire[]> =>
  (await Promise.all(['node-a', 'node-b'].map((node) => wiresAt(node).catch(() => [])))).flat();
const up = () =>
  eventually(
    allWires,
    (wires) => wires.filter(({ state }) => state === 'up').length === 3,
    60_000,
    300,
  );
const allLinks = () => PODS.map((pod) => linksOf(mesh.netns(pod)));
const peerOf = (wire: Wire | undefined): string => wire?.endpointAddresses[0]?.split('/')[0] ?? '';

/** Pings over the three wires, 50 times a second each, while `body` runs; answers how many got no answer. */
async function underTraffic(
  wires: readonly Wire[],
  body: () => Promise<void>,
): Promise<{ sent: number; lost: number }> {
  let going = true;
  const sum = { sent: 0, lost: 0 };
  const flows = wires.map(async (wire) => {
    const netns = mesh.netns(wire.connection.startsWith('alice') ? 'alice' : 'bob-net');
    while (going) {
      const { sent, received } = await ping({
        netns,
        dst: peerOf(wire),
        count: 25,
        intervalMs: 20,
      });
      sum.sent += sent;
      sum.lost += sent - received;
    }
  });
  try {
    await body();
  } finally {
    going = false;
    await Promise.all(flows);
  }
  return sum;
}

test('its three wires come up, and carry pings on one node and across two', async () => {
  const wires = await up();
  expect(wires.map(({ service, endpoint, interface: name }) => [service, endpoint, name])).toEqual([
    ['web', 'web', 'nsm-1'],
    ['db', 'db', 'nsm-2'],
    ['web', 'web', 'nsm-1'],
  ]);
  const { sent, lost } = await underTraffic(wires, async () => undefined);
  expect({ sent, lost }).toEqual({ sent: 75, lost: 0 });
});

test('workloads of different nodes reach each other by the wires only', async () => {
  await up();
  const address = (await mesh.exec('db', 'hostname', '-i')).trim().split(' ')[0] ?? '';
  expect(address).not.toBe('');
  const { received } = await ping({ netns: mesh.netns('alice'), dst: address, timeoutMs: 300 });
  expect(received).toBe(0);
});

test('a workload that waits for its wire has it when it starts', async () => {
  await up();
  expect(await mesh.exec('bob', 'ls', '/sys/class/net')).toContain('nsm-1');
  expect(mesh.restarts('bob')).toBe(0);
});

test('every program but the forwarder runs without root and without capabilities, none can write to its image', async () => {
  const programs = ['identity', 'registry', 'nsmgr-a', 'forwarder-a', 'web-nse', 'alice-nsc'];
  const seen = programs.map((service) => {
    const { Uid = '', CapBnd, CapEff, NoNewPrivs } = mesh.status(service);
    return [service, Uid.split('\t')[0], CapBnd, CapEff, NoNewPrivs];
  });
  const none = '0000000000000000';
  // CAP_NET_ADMIN is bit 12, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21.
  const three = ((1n << 12n) | (1n << 19n) | (1n << 21n)).toString(16).padStart(16, '0');
  expect(seen).toEqual([
    ['identity', '65532', none, none, '1'],
    ['registry', '65532', none, none, '1'],
    ['nsmgr-a', '65532', none, none, '1'],
    ['forwarder-a', '0', three, three, '1'],
    ['web-nse', '65532', none, none, '1'],
    ['alice-nsc', '65532', none, none, '1'],
  ]);
  for (const service of programs)
    await expect(mesh.exec(service, 'touch', '/app/x')).rejects.toThrow(/read-only/i);
});

test('refreshes lose no packet and change nothing', async () => {
  const before = await up();
  const links = allLinks();
  const refreshes = () => mesh.log('alice-nsc', 'refreshed').length;
  const first = refreshes();
  const { sent, lost } = await underTraffic(before, async () => {
    // Of two wires, four times each.
    await eventually(
      async () => refreshes() - first,
      (count) => count >= 8,
      60_000,
      500,
    );
  });
  expect({ lost, before: await allWires(), links: allLinks() }).toEqual({ lost: 0, before, links });
  expect(sent).toBeGreaterThan(0);
});

test.each(['registry', 'nsmgr-a', 'forwarder-a'])(
  '%s is stopped in order under traffic: it says so and ends with 0, and no packet is lost',
  async (service) => {
    const { sent, lost } = await underTraffic(await up(), async () => {
      expect(await mesh.end(service, 'TERM')).toBe(0);
      expect(mesh.log(service, 'stopped')).toHaveLength(1);
    });
    expect(lost).toBe(0);
    expect(sent).toBeGreaterThan(0);
    // Who has taken its leave and is away for more than ten seconds is given up (docs/healing.md): the wires may be others then.
    await mesh.start(service);
    await up();
  },
);

test.each([
  'identity',
  'registry',
  'nsmgr-a',
  'nsmgr-b',
  'forwarder-a',
  'forwarder-b',
  'web-nse',
  'db-nse',
  'alice-nsc',
  'bob-nsc',
])(
  '%s is killed under traffic: it comes back, no packet is lost, and every wire stays the same',
  async (service) => {
    const before = await up();
    const links = allLinks();
    const traffic = await underTraffic(before, async () => {
      await mesh.crash(service);
      await eventually(
        async () => mesh.log(service, 'ready').length,
        (count) => count > 0,
        30_000,
      );
      expect(
        await eventually(
          allWires,
          (now) => JSON.stringify(now) === JSON.stringify(before),
          60_000,
          300,
        ),
      ).toEqual(before);
    });
    expect({ service, lost: traffic.lost }).toEqual({ service, lost: 0 });
    expect(traffic.sent).toBeGreaterThan(0);
    expect(allLinks()).toEqual(links);
  },
);

test('taken down it leaves no container, network or volume', async () => {
  expect(mesh.left()).not.toEqual([]);
  await mesh.down();
  expect(mesh.left()).toEqual([]);
});
