import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import type { World } from '../worlds/world.ts';

/** Two endpoints that give out the same addresses, and a client of both. */
const TOPOLOGY = `
name: aware
nodes: { n1: {}, n2: {} }
services: { one: {}, two: {} }
endpoints:
  first: { node: n1, services: [one], prefixes: [172.16.1.0/24] }
  second: { node: n2, services: [two], prefixes: [172.16.1.0/24] }
clients:
  a: { node: n1, services: [kernel://one/nsm-1, kernel://two/nsm-2] }
`;

describe.each(worlds)('a client of two services, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test('never has an address twice: each wire excludes what the other one has', async () => {
    const w = (world = await start(TOPOLOGY));
    await w.connected('a');
    const wires = await w.wires();
    const addresses = wires.flatMap((wire) => [...wire.clientAddresses, ...wire.endpointAddresses]);
    expect(addresses).toHaveLength(4);
    expect(new Set(addresses).size).toBe(4);
    for (const { endpointAddresses } of wires)
      expect(await w.ping('a', endpointAddresses[0]!.split('/')[0]!)).toBe(true);
  });
});
