import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import type { World } from '../worlds/world.ts';

const CLIENTS = `
  local: { node: n1, services: [kernel://near/nsm-1] }
  remote: { node: n1, services: [kernel://far/nsm-1] }
`;

describe.each(worlds)('connect, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test.each([
    ['IPv4', '[172.16.1.0/24]'],
    ['IPv6', '["fd00:1::/64"]'],
    ['both families', '[172.16.1.0/24, "fd00:1::/64"]'],
  ])('a local and a remote wire carry %s both ways', async (_family, prefixes) => {
    world = await start(twoNodes('conn', CLIENTS, { prefixes }));
    await Promise.all([world.connected('local'), world.connected('remote')]);
    const wires = await world.wires();
    expect(
      wires.map(({ client, endpoint, endpointNode, interface: name }) => [
        client,
        endpoint,
        endpointNode,
        name,
      ]),
    ).toEqual([
      ['local', 'nse-near', 'n1', 'nsm-1'],
      ['remote', 'nse-far', 'n2', 'nsm-1'],
    ]);
    for (const { client, endpoint, clientAddresses, endpointAddresses } of wires) {
      expect(clientAddresses).toHaveLength(prefixes.split(',').length);
      for (const address of endpointAddresses)
        expect([client, address, await world.ping(client, address.split('/')[0]!)]).toEqual([
          client,
          address,
          true,
        ]);
      for (const address of clientAddresses)
        expect([endpoint, address, await world.ping(endpoint, address.split('/')[0]!)]).toEqual([
          endpoint,
          address,
          true,
        ]);
    }
  });

  test('the path has 4 hops on one node and 6 across two, in order', async () => {
    world = await start(twoNodes('path', CLIENTS));
    await Promise.all([world.connected('local'), world.connected('remote')]);
    const paths = (await world.wires()).map(({ path }) => path);
    expect(paths).toEqual([
      ['local', 'n1', 'forwarder-n1', 'nse-near'],
      ['remote', 'n1', 'forwarder-n1', 'n2', 'forwarder-n2', 'nse-far'],
    ]);
  });

  test('one client has two services at once, each with an interface of its own', async () => {
    world = await start(
      twoNodes('two', '  both: { node: n2, services: [kernel://near/near0, kernel://far/far0] }'),
    );
    await world.connected('both');
    const wires = await world.wires();
    expect(wires.map((wire) => [wire.service, wire.interface])).toEqual([
      ['near', 'near0'],
      ['far', 'far0'],
    ]);
    for (const { endpointAddresses } of wires)
      expect(await world.ping('both', endpointAddresses[0]!.split('/')[0]!)).toBe(true);
  });

  test('an ethernet payload carries packets too', async () => {
    world = await start(twoNodes('eth', CLIENTS, { payload: 'ETHERNET' }));
    await Promise.all([world.connected('local'), world.connected('remote')]);
    for (const { client, endpointAddresses } of await world.wires())
      expect(await world.ping(client, endpointAddresses[0]!.split('/')[0]!)).toBe(true);
  });
});
