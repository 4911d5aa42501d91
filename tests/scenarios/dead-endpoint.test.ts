import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { direct, requestFrom } from '../worlds/direct.ts';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

describe.each(worlds)('an endpoint that is registered and dead, in %s', (_name, start) => {
  let world: World;
  beforeAll(async () => {
    world = await start(twoNodes('dead', '  a: { node: n1, services: [kernel://near/nsm-1] }'));
    await world.connected('a');
  });
  afterAll(async () => world.stop());
  const nothingIsLeft = async () => {
    await eventually(world.wires, (wires) => wires.length === 0);
    // A link that is out of service is there until the reaper comes.
    await eventually(
      () => world.links('a'),
      (links) => links.length === 0,
    );
  };

  test('is waited for, and serves whoever asked meanwhile once it is back', async () => {
    await world.end('a');
    await world.kill('nse-near');
    await world.start('a');
    await eventually(
      () => world.refusals('a'),
      (all) => all.some((text) => text.includes('select endpoint nse-near')),
    );
    await world.start('nse-near');
    await world.connected('a');
  });

  test('does not hold back a client that stops while it asks for another one', async () => {
    await world.kill('nse-near');
    await world.end('a');
    await nothingIsLeft();
  });

  test('is refused when it is asked for by its name, and nothing is left', async () => {
    const request = requestFrom(world, 'a', 'near', {
      connection: { networkServiceEndpointName: 'nse-near' },
    });
    await expect(direct(world, 'n1').request(request)).rejects.toThrow(
      /select forwarder forwarder-n1/,
    );
    await nothingIsLeft();
  });
});
