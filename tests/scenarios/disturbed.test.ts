import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { connectionsAt } from '@nsm/lab';
import {
  deleteNetns,
  getLink,
  linkDelete,
  linkSet,
  type Request,
  vethAdd,
  withRtnetlink,
} from '@nsm/netlink';
import { State } from '@nsm/proto';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

type Lab = Awaited<ReturnType<typeof startNetns>>['lab'];

/** Does something to a link of a pod that the mesh is not told of. */
const byHand = (
  lab: Lab,
  pod: string,
  name: string,
  requests: (dev: { index: number; name: string }) => readonly Request[],
): void =>
  withRtnetlink(lab.netns(pod), (rt) => {
    rt.request(requests({ index: getLink(rt, name)!.index, name }));
  });

// Tokens live for ten minutes here, so what happens within seconds is no refresh.
describe('a wire that is disturbed', () => {
  let world: Awaited<ReturnType<typeof startNetns>>;

  beforeEach(async () => {
    world = await startNetns(
      twoNodes('dist', '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }'),
    );
    await world.connected('a');
  });
  afterEach(() => world.stop());

  const forwarder = (node: string) =>
    connectionsAt(
      world.lab.dialer,
      world.lab.plan.processes.find(({ name }) => name === `forwarder-${node}`)!.env[
        'NSM_LISTEN_ON'
      ]!,
    );
  const addresses = async (): Promise<readonly string[]> =>
    (await world.wires()).flatMap(({ endpointAddresses }) =>
      endpointAddresses.map((each) => each.split('/')[0]!),
    );
  const look = async () => [
    await world.links('a'),
    await world.links('nse-near'),
    await world.links('nse-far'),
  ];
  /** The same but for interface indexes. */
  const shape = async () => JSON.stringify(await look()).replaceAll(/\\"index\\":\d+/g, '');
  const allAnswer = async (): Promise<void> => {
    for (const address of await addresses())
      expect([address, await world.ping('a', address)]).toEqual([address, true]);
  };

  test.each([
    ['of a local wire at the client', 'a', 'nsm-1'],
    ['of a local wire at the endpoint', 'nse-near', ''],
    ['of a remote wire at the client', 'a', 'nsm-2'],
    ['of a remote wire at the endpoint', 'nse-far', ''],
  ])('is made anew when a link %s is deleted', async (_what, pod, known) => {
    const name = known === '' ? world.lab.addresses(pod)[0]!.name : known;
    const before = await shape();
    byHand(world.lab, pod, name, (dev) => [linkDelete(dev)]);
    await eventually(shape, (now) => now === before);
    await allAnswer();
  });

  test('comes up again, the same one, when its links are set down, and gets its name back', async () => {
    const before = JSON.stringify(await look());
    for (const name of ['nsm-1', 'nsm-2']) {
      byHand(world.lab, 'a', name, (dev) => [linkSet(dev, { up: false })]);
      await eventually(look, (now) => JSON.stringify(now) === before);
      byHand(world.lab, 'a', name, (dev) => [linkSet(dev, { name: 'mine' })]);
      await eventually(look, (now) => JSON.stringify(now) === before);
    }
    await allAnswer();
  });

  test('is reported DOWN when it cannot be repaired', async () => {
    byHand(world.lab, 'a', 'nsm-1', (dev) => [
      linkSet(dev, { name: 'mine' }),
      vethAdd({ name: 'nsm-1' }, { name: 'other' }),
    ]);
    const down = async () =>
      (await forwarder('n1')).flatMap(({ state, networkService }) =>
        state === State.DOWN ? [networkService] : [],
      );
    await eventually(down, (services) => services.length > 0);
    expect(await down()).toEqual(['near']);
  });

  test('is closed when the namespace of its client is gone', async () => {
    expect(await forwarder('n1')).toHaveLength(2);
    await world.kill('a');
    deleteNetns(world.lab.netns('a'));
    const left = async () =>
      (await Promise.all([forwarder('n1'), forwarder('n2')])).flat().length +
      (await world.links('nse-near')).length +
      (await world.links('nse-far')).length;
    await eventually(left, (count) => count === 0);
  });
});
