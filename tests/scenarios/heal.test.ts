import { afterEach, describe, expect, test } from '@jest/globals';
import type { Wire } from '@nsm/lab';
import { deleteNetns } from '@nsm/netlink';
import { startNetns } from '../worlds/netns.ts';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

const CLIENTS = '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }';
/** Serves what `nse-near` serves, on the other node. */
const ANOTHER = '  nse-alt: { node: n2, services: [near], prefixes: [172.16.9.0/24] }';

/** Where the other end of a wire answers. */
const endpointOf = ({ endpointAddresses: [to = ''] }: Wire): string => to.split('/')[0] ?? '';

const PODS = ['a', 'nse-near', 'nse-far'];

describe.each(worlds)('heal, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test.each([
    ['manager', 'nsmgr-n1', 2],
    ['remote manager', 'nsmgr-n2', 1],
    ['forwarder', 'forwarder-n1', 2],
    ['remote forwarder', 'forwarder-n2', 1],
  ])('the %s is killed and comes back: the same wires', async (_what, process, wires) => {
    const w = (world = await start(twoNodes('heal', CLIENTS)));
    await w.connected('a');
    const links = async () => (await Promise.all(PODS.map(w.links))).flat();
    const before = await links();
    await w.kill(process);
    await w.start(process);
    await eventually(
      () => w.heals('a'),
      (count) => count >= wires,
    );
    expect(await links()).toEqual(before);
    expect(await w.wires()).toHaveLength(2);
  });

  test('an endpoint is killed and comes back, and then its forwarder: the same wires', async () => {
    const w = (world = await start(twoNodes('hnse', CLIENTS)));
    await w.connected('a');
    const links = async () => (await Promise.all(PODS.map(w.links))).flat();
    const before = await links();
    for (const [process, heals] of [
      ['nse-near', 1],
      ['forwarder-n1', 3],
    ] as const) {
      await w.kill(process);
      await w.start(process);
      await eventually(
        () => w.heals('a'),
        (count) => count >= heals,
      );
    }
    expect(await links()).toEqual(before);
  });
});

describe.each(worlds)('lost paths, in %s', (_name, start) => {
  test('a client and its manager are killed together and come back: the same wires', async () => {
    const w = await start(twoNodes('lost', CLIENTS));
    try {
      await w.connected('a');
      const links = async () => (await Promise.all(PODS.map(w.links))).flat();
      const before = await links();
      await w.kill('a');
      await w.kill('nsmgr-n1');
      await w.start('nsmgr-n1');
      await w.start('a');
      await eventually(
        w.wires,
        (wires) => wires.filter(({ state }) => state === 'up').length === 2,
      );
      expect(await links()).toEqual(before);
    } finally {
      await w.stop();
    }
  });
});

describe.each(worlds)('all who know a wire, in %s', (_name, start) => {
  test('a client, its manager and its forwarder are killed together and come back: wires again, and none twice', async () => {
    const w = await start(twoNodes('allk', CLIENTS), { tokenLifetime: '30s' });
    try {
      await w.connected('a');
      for (const process of ['a', 'nsmgr-n1', 'forwarder-n1']) await w.kill(process);
      for (const process of ['nsmgr-n1', 'forwarder-n1', 'a']) await w.start(process);
      // Before the tokens of the first wires end.
      await eventually(
        w.wires,
        (wires) => wires.filter(({ state, node }) => state === 'up' && node === 'n1').length === 2,
        25_000,
      );
      // What is out of service waits for the kernel's own time to go.
      await eventually(
        () => w.links('a'),
        (links) => links.length === 2,
      );
      const ends = async () => [...(await w.links('nse-near')), ...(await w.links('nse-far'))];
      await eventually(ends, (links) => links.length === 2, 45_000);
    } finally {
      await w.stop();
    }
  });
});

describe('heal, with packets counted', () => {
  let world: Awaited<ReturnType<typeof startNetns>> | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  /** Pings these wires until `during` is over; answers how many got lost. */
  const lost = async (
    w: NonNullable<typeof world>,
    wires: readonly Wire[],
    during: () => Promise<void>,
  ) => {
    const over = new AbortController();
    const rounds = wires.map(async (wire) => {
      let missing = 0;
      while (!over.signal.aborted) {
        const { sent, received } = await w.lab.ping('a', endpointOf(wire), {
          count: 50,
          intervalMs: 5,
        });
        missing += sent - received;
      }
      return missing;
    });
    await during().finally(() => over.abort());
    return (await Promise.all(rounds)).reduce((a, b) => a + b, 0);
  };

  test('control planes that are killed lose none', async () => {
    const w = (world = await startNetns(twoNodes('hctl', CLIENTS)));
    await w.connected('a');
    let heals = 0;
    const killed: [string[], number][] = [
      [['nsmgr-n1'], 2],
      [['forwarder-n1'], 2],
      [['registry'], 0],
      [['nsmgr-n2', 'forwarder-n2'], 1],
    ];
    const missing = await lost(w, await w.wires(), async () => {
      for (const [processes, wires] of killed) {
        for (const process of processes) await w.kill(process);
        for (const process of processes) await w.start(process);
        heals += wires;
        await eventually(
          () => w.heals('a'),
          (count) => count >= heals,
        );
      }
    });
    expect(missing).toBe(0);
  });

  test('an endpoint that is gone with its pod is replaced by another, and the other wire loses none', async () => {
    const w = (world = await startNetns(twoNodes('hend', CLIENTS, { endpoints: ANOTHER })));
    await w.connected('a');
    const wires = await w.wires();
    const victim = wires.find(({ service }) => service === 'near')?.endpoint ?? '';
    const bystanders = wires.filter(({ service }) => service !== 'near');
    const missing = await lost(w, bystanders, async () => {
      await w.kill(victim);
      deleteNetns(w.lab.netns(victim));
      const [moved] = await eventually(
        async () => (await w.wires()).filter(({ service }) => service === 'near'),
        ([wire]) => wire !== undefined && wire.endpoint !== victim,
      );
      if (moved) expect(await w.ping('a', endpointOf(moved))).toBe(true);
      const own = w.lab.addresses('a').find(({ name }) => name === 'nsm-1');
      expect(own?.addresses.filter((address) => !address.startsWith('fe80'))).toEqual(
        moved?.clientAddresses,
      );
    });
    expect(missing).toBe(0);
  });
});
