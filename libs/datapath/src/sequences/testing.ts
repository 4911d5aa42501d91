import fc from 'fast-check';
import type { Plan } from '../plan.ts';
import { context, localPlan, type Places } from '../testing.ts';

/** Random sequences of what a forwarder does with two wires of one client, for every kernel. */

/** One step. `known`: whether the plan before is told, as all but the first refresh after a restart do. */
export type Step =
  | { readonly do: 'ensure'; readonly wire: number; readonly plan: Plan; readonly known: boolean }
  | { readonly do: 'remove'; readonly wire: number }
  | { readonly do: 'kill' };

const some = <T>(...items: readonly T[]): fc.Arbitrary<T[]> =>
  fc.subarray([...items], { minLength: 0 });

const policies = fc.array(
  fc.record({
    from: fc.constantFrom('', '10.9.0.1/32'),
    proto: fc.constantFrom('', '6', '17'),
    dstPort: fc.constantFrom('', '80', '80-89'),
    srcPort: fc.constant(''),
    routes: some(
      { prefix: '10.50.0.0/16', nextHop: '' },
      { prefix: '10.51.0.0/16', nextHop: '10.0.0.9' },
    ),
  }),
  { maxLength: 3 },
);

/** A plan of wire `wire`, of anything that a refresh may change. */
const planOf = (places: Places, wire: number): fc.Arbitrary<Plan> =>
  fc
    .record({
      src: some(`10.0.${wire}.2/24`, `10.0.${wire}.3/24`, `fd0${wire}::2/64`, `fd0${wire}::2/80`),
      dst: some(`10.0.${wire}.1/24`, `10.${wire}.7.1/32`, `fd0${wire}::1/64`),
      srcRoutes: some(
        { prefix: `10.${wire + 20}.0.0/16`, nextHop: '' },
        { prefix: `fd2${wire}::/64`, nextHop: `fd0${wire}::9` },
      ),
      ipNeighbors: some({ ip: `10.0.${wire}.77`, hardwareAddress: '02:00:00:00:00:77' }),
      policies,
      mtu: fc.constantFrom(1500, 1400),
      srcMac: fc.constantFrom('02:00:00:00:00:1a', '02:00:00:00:00:1b'),
    })
    .map(({ src, dst, srcMac, ...more }) => {
      // An IPv6 address is there once, whatever its length.
      const own = src.filter(
        (text, i) => src.findIndex((other) => host(other) === host(text)) === i,
      );
      const plan = localPlan(places, {
        id: `c${wire}`,
        name: `nsm-${wire}`,
        context: { ...context(own, dst, more), ethernetContext: { srcMac, dstMac: '' } },
      });
      return JSON.parse(JSON.stringify(plan).replaceAll('nse-1', `nse-${wire}`)) as Plan;
    });

const host = (text: string): string => text.split('/')[0] ?? '';

/** Sequences of up to `maxLength` steps. */
export const stepsOf = (places: Places, maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(1, 2).chain((wire) => ensureOf(places, wire)) },
      {
        weight: 2,
        arbitrary: fc.constantFrom(1, 2).map((wire): Step => ({ do: 'remove', wire })),
      },
      { weight: 1, arbitrary: fc.constant<Step>({ do: 'kill' }) },
    ),
    { minLength: 1, maxLength },
  );

const ensureOf = (places: Places, wire: number): fc.Arbitrary<Step> =>
  fc
    .tuple(planOf(places, wire), fc.boolean())
    .map(([plan, known]): Step => ({ do: 'ensure', wire, plan, known }));

/** Lines of `showNamespaces` without what depends on the way there: which table, and where its rule stands. */
export const comparable = (lines: readonly string[]): string[] =>
  lines.map((line) => line.replace(/ table \d+/, '').replace(/ priority \d+/, '')).toSorted();
