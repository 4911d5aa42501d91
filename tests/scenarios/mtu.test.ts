import { afterEach, expect, test } from '@jest/globals';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

/** What an echo request has beside its payload. */
const HEADERS = { 4: 28, 6: 48 } as const;
const UNDERLAY_MTU = 1500;

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

test.each([
  ['10.90.0.0/24', UNDERLAY_MTU - 54],
  ['fd99::/64', UNDERLAY_MTU - 74],
])(
  'over an underlay of %s, packets of the MTU pass and larger ones are refused',
  async (cidr, far) => {
    const topology = twoNodes(
      'mtu',
      '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }',
      {
        prefixes: "[172.16.1.0/24, 'fd00:1::/64']",
      },
    );
    const started = await startNetns(
      `${topology}underlay: { cidr: '${cidr}', mtu: ${UNDERLAY_MTU} }\n`,
    );
    world = started;
    await started.connected('a');
    const wires = await started.wires();
    for (const [endpoint, told, mtu] of [
      ['nse-near', 0, UNDERLAY_MTU], // nobody asked for one: it is the kernel's own
      ['nse-far', far, far],
    ] as const) {
      const wire = wires.find((each) => each.endpoint === endpoint);
      expect({ endpoint, mtu: wire?.mtu }).toEqual({ endpoint, mtu: told });
      const addresses = wire?.endpointAddresses.map((text) => text.split('/')[0] ?? '') ?? [];
      expect(addresses).toHaveLength(2);
      for (const address of addresses) {
        const headers = HEADERS[address.includes(':') ? 6 : 4];
        const echo = (size: number) =>
          started.lab.ping('a', address, { size: size - headers, dontFragment: true });
        await eventually(
          () => echo(mtu),
          ({ received }) => received === 1,
        );
        expect({ address, ...(await echo(mtu + 1)) }).toMatchObject({
          address,
          received: 0,
          errors: [expect.stringMatching(/EMSGSIZE|too (long|big)/i)],
        });
      }
    }
  },
);
