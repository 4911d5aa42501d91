import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

const SERVICES = 'services: [kernel://near/nsm-1, kernel://far/nsm-2]';

describe.each(worlds)('sweep, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test('what a client has left that died while the forwarder was down goes, and nothing of one that lives', async () => {
    const clients = `  dead: { node: n1, ${SERVICES} }\n  live: { node: n1, ${SERVICES} }`;
    const w = await start(twoNodes('swee', clients), { tokenLifetime: '5s' });
    world = w;
    await w.connected('dead');
    await w.connected('live');
    const before = await w.links('live');
    await w.kill('forwarder-n1');
    await w.kill('dead');
    await w.start('forwarder-n1');
    expect(await w.links('dead')).toHaveLength(2);
    await eventually(
      () => w.links('dead'),
      (links) => links.length === 0,
      20_000,
    );
    const ends = async () => [await w.links('nse-near'), await w.links('nse-far')];
    await eventually(ends, ([near, far]) => near?.length === 1 && far?.length === 1, 20_000);
    expect(await w.links('live')).toEqual(before);
  });
});
