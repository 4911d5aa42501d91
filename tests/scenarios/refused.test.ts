import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

describe.each(worlds)('a request that cannot be served, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });
  const refused = (client: string, text: string) =>
    eventually(
      () => world!.refusals(client),
      (all) => all.some((refusal) => refusal.includes(text)),
    );

  test('no endpoint has the labels the service asks for', async () => {
    const services =
      '  picky: { payload: IP, matches: [{ source_selector: { app: a }, routes: [{ destination_selector: { tier: gold } }] }] }';
    const endpoints =
      '  nse-tin: { node: n1, services: [picky], prefixes: [172.16.3.0/24], labels: { tier: tin } }';
    world = await start(
      twoNodes('pick', '  a: { node: n1, services: ["kernel://picky/nsm-1?app=a"] }', {
        services,
        endpoints,
      }),
    );
    await refused(
      'a',
      'network service endpoint candidates not found: none of the 1 endpoints of picky',
    );
    expect([await world.links('a'), await world.links('nse-tin'), await world.wires()]).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('the endpoint refuses, and the next one is taken', async () => {
    const services = '  pool: { payload: IP }';
    // One address is not enough for a pair.
    const endpoints = `  nse-full: { node: n1, services: [pool], prefixes: [172.16.3.0/32] }
  nse-free: { node: n2, services: [pool], prefixes: [172.16.4.0/24] }`;
    world = await start(
      twoNodes('full', '  a: { node: n1, services: [kernel://pool/nsm-1] }', {
        services,
        endpoints,
      }),
    );
    await world.connected('a');
    expect((await world.wires()).map(({ endpoint }) => endpoint)).toEqual(['nse-free']);
    expect(await world.links('nse-full')).toEqual([]);
  });

  test('the only endpoint refuses, and says why', async () => {
    const services = '  tiny: { payload: IP }';
    const endpoints = '  nse-tiny: { node: n2, services: [tiny], prefixes: [172.16.3.0/32] }';
    world = await start(
      twoNodes('tiny', '  a: { node: n1, services: [kernel://tiny/nsm-1] }', {
        services,
        endpoints,
      }),
    );
    await refused('a', 'IPPool is empty');
    expect([await world.links('a'), await world.links('nse-tiny'), await world.wires()]).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('the forwarder is missing, and the wire comes up once it is there', async () => {
    world = await start(twoNodes('nofw', '  a: { node: n1, services: [kernel://near/nsm-1] }'));
    await world.connected('a');
    await world.end('a');
    await world.end('forwarder-n1');
    await world.start('a');
    await refused('a', 'no candidates found: no forwarder is registered on this node');
    await world.start('forwarder-n1');
    await world.connected('a');
  });

  test('the registry is down: what is known here is still served, and nothing is lost when it comes back', async () => {
    world = await start(
      twoNodes(
        'nore',
        '  a: { node: n1, services: [kernel://near/nsm-1] }\n  b: { node: n1, services: [kernel://far/nsm-1] }',
      ),
    );
    await world.connected('a');
    await world.end('b');
    await world.kill('registry');
    await world.start('b');
    await world.start('registry');
    await world.connected('b');
    const far = (await world.wires()).find(({ client }) => client === 'b');
    expect(await world.ping('b', far!.endpointAddresses[0]!.split('/')[0]!)).toBe(true);
  });
});
