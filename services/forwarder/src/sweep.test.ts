import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import type { Connections } from '@nsm/connection';
import { planFrom, type CountedLink } from '@nsm/datapath';
import { createFakeDatapath, createFakeKernel } from '@nsm/datapath/fake';
import { startSweep } from './sweep.ts';

const CLAIM_MS = 600_000;
const pod = { a: 'inode://4/1', b: 'inode://4/2' };

const wire = (id: string, owner: string) =>
  planFrom({
    id,
    owner,
    payload: 'IP',
    context: undefined,
    client: { type: 'KERNEL', parameters: { inodeURL: pod.a, name: `c-${id}` } },
    endpoint: { type: 'KERNEL', parameters: { inodeURL: pod.b, name: `e-${id}` } },
    underlay: { mtu: 1500 },
  });
const tunnel = (id: string, owner: string) =>
  planFrom({
    id,
    owner,
    payload: 'IP',
    context: undefined,
    client: { type: 'KERNEL', parameters: { inodeURL: pod.a, name: `c-${id}` } },
    endpoint: {
      type: 'VXLAN',
      parameters: { src_ip: '192.0.2.1', dst_ip: '192.0.2.2', vni: '4242' },
    },
    underlay: { mtu: 1500 },
  });

/** A kernel in which an earlier process of `fwd`, and another forwarder, have left links; `held` are the ids claimed since. */
async function start() {
  const kernel = createFakeKernel();
  const earlier = createFakeDatapath({ kernel });
  for (const plan of [wire('left', 'fwd'), wire('live', 'fwd'), tunnel('far', 'fwd')])
    await earlier.ensure(plan);
  await earlier.ensure(wire('theirs', 'other'));
  const datapath = createFakeDatapath({ kernel });
  const clock = createFakeClock();
  const held = new Set<string>();
  const told: {
    found?: readonly CountedLink[];
    swept?: readonly CountedLink[];
    failures?: readonly unknown[];
  } = {};
  const connections: Pick<Connections, 'inTurn'> = {
    inTurn: async (id, body) => {
      await body(held.has(id) ? ({} as Parameters<typeof body>[0]) : undefined);
    },
  };
  const leftovers = await startSweep({
    owner: 'fwd',
    claimMs: CLAIM_MS,
    clock,
    datapath,
    connections,
    onFound: (found) => void (told.found = found),
    onSwept: (swept, failures) => void Object.assign(told, { swept, failures }),
    onOver: () => undefined,
  });
  const names = async () => (await datapath.census()).links.map(({ name }) => name).sort();
  return { datapath, clock, held, told, leftovers, names };
}

describe('the sweep', () => {
  test('finds what its owner has left, tunnels with their numbers', async () => {
    const { told } = await start();
    expect(told.found?.map(({ name }) => name).sort()).toEqual([
      'c-far',
      'c-left',
      'c-live',
      'e-left',
      'e-live',
    ]);
    expect(told.found?.find(({ id }) => id === 'far')?.vni).toBe(4242);
  });

  test('waits for one token lifetime, then takes what nobody has claimed, and nothing else', async () => {
    const { clock, held, told, names } = await start();
    const before = await names();
    held.add('live');
    await clock.advance(CLAIM_MS - 1);
    expect(await names()).toEqual(before);
    await clock.advance(1);
    expect(await names()).toEqual(['c-live', 'c-theirs', 'e-live', 'e-theirs']);
    expect([...new Set(told.swept?.map(({ id }) => id))].sort()).toEqual(['far', 'left']);
    expect(told.failures).toEqual([]);
    await clock.advance(10 * CLAIM_MS);
    expect(await names()).toHaveLength(4);
  });

  test('leaves what was closed and made anew meanwhile', async () => {
    const { datapath, clock, names } = await start();
    await datapath.remove(wire('left', 'fwd'));
    await datapath.ensure(wire('left', 'later'));
    await clock.advance(CLAIM_MS);
    expect(await names()).toContain('c-left');
  });

  test('says what it could not take, and takes the rest', async () => {
    const { datapath, clock, told, names } = await start();
    datapath.failNext('EPERM');
    await clock.advance(CLAIM_MS);
    expect(told.failures).toMatchObject([{ code: 'EPERM' }]);
    expect(told.swept).not.toHaveLength(0);
    expect(await names()).toContain('c-theirs');
  });

  test('makes room for who asks for the name of what nobody who lives has claimed, and for nobody else', async () => {
    const { clock, held, told, names, leftovers } = await start();
    held.add('live');
    await leftovers.makeRoom('new', pod.a, 'c-left');
    expect(await names()).toContain('c-left');
    await clock.advance(5_000);
    for (const name of ['c-live', 'c-theirs', 'c-new'])
      await leftovers.makeRoom('new', pod.a, name);
    await leftovers.makeRoom('new', pod.b, 'c-left');
    await leftovers.makeRoom('left', pod.a, 'c-left');
    expect(await names()).toHaveLength(7);
    await leftovers.makeRoom('new', pod.a, 'c-left');
    expect(await names()).toEqual(['c-far', 'c-live', 'c-theirs', 'e-live', 'e-theirs']);
    expect(told.swept?.map(({ name }) => name).sort()).toEqual(['c-left']);
    expect(told.failures).toEqual([]);
  });

  test('does nothing once it is stopped', async () => {
    const { clock, leftovers, names } = await start();
    const before = await names();
    leftovers.stop();
    await clock.advance(CLAIM_MS);
    expect(await names()).toEqual(before);
  });
});
