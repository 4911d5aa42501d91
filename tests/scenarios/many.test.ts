import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import type { World } from '../worlds/world.ts';

describe.each(worlds)('many clients, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test('50 clients that start at once all get their wires, with addresses of their own', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
    const clients = names
      .map(
        (name, i) =>
          `  ${name}: { node: n${(i % 2) + 1}, services: [kernel://${i % 4 < 2 ? 'near' : 'far'}/nsm-1] }`,
      )
      .join('\n');
    world = await start(twoNodes('many', clients));
    for (const name of names) await world.connected(name);
    const wires = await world.wires();
    expect(wires).toHaveLength(50);
    expect(new Set(wires.flatMap(({ clientAddresses }) => clientAddresses)).size).toBe(50);
    expect(
      new Set(wires.flatMap(({ mechanism }) => (mechanism.startsWith('vxlan') ? [mechanism] : [])))
        .size,
    ).toBe(25);
    for (const { client, endpointAddresses } of wires)
      expect([client, await world.ping(client, endpointAddresses[0]!.split('/')[0]!)]).toEqual([
        client,
        true,
      ]);
  });
});
