import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

describe.each(worlds)('refresh, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test('changes nothing on a local and a remote wire', async () => {
    const topology = twoNodes(
      'refr',
      '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }',
    );
    world = await start(topology, { tokenLifetime: '10s' });
    const { refreshes, links } = world;
    await world.connected('a');
    const look = async () => [await links('a'), await links('nse-near'), await links('nse-far')];
    const before = await look();
    expect(before[0]).toHaveLength(2);
    await eventually(
      () => refreshes('a'),
      (count) => count >= 4,
      20_000,
    );
    expect(await look()).toEqual(before);
  });
});
