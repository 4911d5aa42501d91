import { formatPrefix, network, parsePrefix, type Prefix } from '@nsm/ip';
import { PlanError } from './check.ts';
import type { PlannedPolicy, PlannedRoute, PortRange, Selector } from './plan.ts';
import { lastPer, read, routeFrom } from './side.ts';
import type { WirePolicy } from './wire.ts';

/**
 * Contract 5.4: the policies of the context in their order, each of one family; one that is for both is two. No routes mean the
 * default route. `peers` are the addresses at the other end, which routes without a next hop go through. @throws PlanError
 */
export const policiesFrom = (
  given: readonly WirePolicy[],
  peers: readonly Prefix[],
): PlannedPolicy[] =>
  given.flatMap((policy, i) => {
    const at = `context.ipContext.policies[${i}]`;
    const from =
      policy.from === '' ? undefined : network(read(`${at}.from`, policy.from, parsePrefix));
    const selector = selectorFrom(at, policy, from);
    const any = { prefix: from?.family === 6 ? '::/0' : '0.0.0.0/0', nextHop: '' };
    const given = policy.routes.length === 0 ? [any] : policy.routes;
    const routes = lastPer(
      given.map((route, j) => routeFrom(`${at}.routes[${j}]`, route, peers)),
      ({ to }) => to,
    );
    return [routes.filter((route) => !isSix(route)), routes.filter(isSix)].flatMap((family) =>
      family.length === 0 ? [] : [{ ...selector, routes: ofFamily(at, from, family) }],
    );
  });

function selectorFrom(
  at: string,
  { proto, srcPort, dstPort }: WirePolicy,
  from: Prefix | undefined,
): Selector {
  const [number, srcPorts, dstPorts] = [
    protocol(`${at}.proto`, proto),
    ports(`${at}.srcPort`, srcPort),
    ports(`${at}.dstPort`, dstPort),
  ];
  return {
    ...(from === undefined ? {} : { from: formatPrefix(from) }),
    ...(number === 0 ? {} : { proto: number }),
    ...(srcPorts === undefined ? {} : { srcPorts }),
    ...(dstPorts === undefined ? {} : { dstPorts }),
  };
}

function ofFamily(
  at: string,
  from: Prefix | undefined,
  routes: readonly PlannedRoute[],
): readonly PlannedRoute[] {
  const other = routes.find((route) => from !== undefined && isSix(route) !== (from.family === 6));
  if (from === undefined || other === undefined) return routes;
  throw new PlanError(
    `${at}.routes`,
    `${other.to} is no destination of packets from ${formatPrefix(from)}: both have to be of one family`,
  );
}

/** Nothing and 0 fit every protocol. */
function protocol(field: string, text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,3}$/.test(text) || Number(text) > 255)
    throw new PlanError(
      field,
      `${JSON.stringify(text)} is not an IP protocol number: write 6 for TCP, 17 for UDP`,
    );
  return Number(text);
}

/** `n` or `start-end`; the kernel takes 1 to 65534 (fib_rule_port_range_valid). */
function ports(field: string, text: string): PortRange | undefined {
  if (text === '') return undefined;
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === '')
    throw new PlanError(field, `port range should be in format start-end: ${JSON.stringify(text)}`);
  const range: PortRange = [Number(first), Number(last)];
  if (range[0] < 1 || range[1] > 65_534 || range[0] > range[1])
    throw new PlanError(
      field,
      `${JSON.stringify(text)} is no range of ports: it has to rise, from 1 to 65534 at most`,
    );
  return range;
}

const isSix = ({ to }: PlannedRoute): boolean => to.includes(':');
