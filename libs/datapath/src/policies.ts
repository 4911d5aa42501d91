import type {
  Change,
  Device,
  InstalledPolicy,
  Namespace,
  PolicyRule,
  Programmed,
  TableRoute,
} from './kernel.ts';
import type { PlannedPolicy, PlannedRoute, Selector } from './plan.ts';

/**
 * Policy routes (contract 5.4): a rule of the namespace, and a table of its own whose routes all leave by the wire's link.
 *
 * Rules do not go with a link, and the wires of a namespace share its rules and tables, so whose a rule is has to be told: it is
 * marked as the mesh's, and belongs to the link that its table's routes leave by. A table is filled before its rule is made and
 * emptied after it is gone; a rule of the mesh without any route is therefore nobody's any more (the kernel takes the routes of a
 * link that goes down or away), has no effect, and may be removed by whoever finds it.
 */

/** Where rules of the mesh stand: before the main table (32766), wherever other programs put theirs without saying. */
const PRIORITIES = { first: 30_000, count: 2_048 } as const;
/** default, main and local, which every namespace has. */
const TABLES_OF_ALL = [253, 254, 255] as const;

type State = Pick<Namespace, 'rules' | 'tableRoutes'>;

/** The policies on a link, in their order. */
export function policiesOf(state: State, index: number): Pick<Programmed, 'policies'> {
  const rules = state.rules().filter(({ ours }) => ours);
  if (rules.length === 0) return {};
  const policies = installed(rules, state.tableRoutes(), index);
  return policies.length === 0 ? {} : { policies };
}

/**
 * The changes that make these the policies on a link, from what the kernel has now: additions, then removals. What stays keeps its
 * table, and its rule where the order allows it. Rules that are nobody's go as well.
 */
export function policyChanges(
  state: State,
  dev: Device,
  wanted: readonly PlannedPolicy[],
): Change[] {
  const rules = state.rules();
  const ours = rules.filter((rule) => rule.ours);
  if (wanted.length === 0 && ours.length === 0) return [];
  const routes = state.tableRoutes();
  const now = installed(ours, routes, dev.index);
  const nextTable = freeTables([...rules, ...routes].map(({ table }) => table));
  const found = pairUp(wanted, now);
  const priorities = prioritiesFrom(found.map(({ old }) => old?.priority));
  const steps = found.map(({ policy, old }, i) => ({
    policy,
    old,
    rule: ruleOf(policy, old?.table ?? nextTable(), priorities[i] ?? PRIORITIES.first),
  }));
  const kept = new Set(steps.flatMap(({ old }) => (old === undefined ? [] : [old])));
  const gone = now.filter((policy) => !kept.has(policy));
  return [
    ...steps.flatMap((step) => additions(dev, step)),
    ...steps.flatMap((step) => leftovers(dev, step)),
    ...gone.map((old): Change => ({ op: 'no-rule', rule: ruleOf(old, old.table, old.priority) })),
    ...gone
      .filter(({ table }) => !steps.some(({ rule }) => rule.table === table))
      .flatMap(({ table, routes: left }) => left.map((route) => noRoute(dev, table, route))),
    ...nobodys(ours, routes),
  ];
}

/** The changes that remove the rules of the mesh that are nobody's any more. */
export function orphanChanges(state: State): Change[] {
  // In this order: whoever is adding a policy meanwhile fills its table first.
  const ours = state.rules().filter((rule) => rule.ours);
  return ours.length === 0 ? [] : nobodys(ours, state.tableRoutes());
}

const nobodys = (rules: readonly PolicyRule[], routes: readonly TableRoute[]): Change[] => {
  const filled = new Set(routes.map(tableOf));
  return rules
    .filter((rule) => !filled.has(`${rule.family}/${rule.table}`))
    .map(({ ours: _, ...rule }): Change => ({ op: 'no-rule', rule }));
};

function installed(
  rules: readonly PolicyRule[],
  routes: readonly TableRoute[],
  index: number,
): InstalledPolicy[] {
  const here = Map.groupBy(
    routes.filter((route) => route.index === index),
    tableOf,
  );
  return rules
    .toSorted((a, b) => a.priority - b.priority)
    .flatMap((rule) => {
      const { family, table, priority } = rule;
      const own = here.get(`${family}/${table}`)?.map(({ route }) => route);
      return own === undefined ? [] : [{ ...selectorOf(rule), table, priority, routes: own }];
    });
}

const tableOf = ({ table, route }: TableRoute): string => `${familyOf(route.to)}/${table}`;

/** Each wanted policy with what the kernel has for it; policies with the same packets are taken in their order. */
function pairUp(
  wanted: readonly PlannedPolicy[],
  now: readonly InstalledPolicy[],
): { readonly policy: PlannedPolicy; readonly old: InstalledPolicy | undefined }[] {
  const left = Map.groupBy(now, key);
  return wanted.map((policy) => ({ policy, old: left.get(key(policy))?.shift() }));
}

/** Which packets, as text. */
const key = (policy: PlannedPolicy): string => {
  const { from, proto, srcPorts, dstPorts } = policy;
  return JSON.stringify([policyFamily(policy), from, proto, srcPorts, dstPorts]);
};

/** The lowest numbers from 1 that nobody uses. */
function freeTables(used: readonly number[]): () => number {
  const taken = new Set([...used, ...TABLES_OF_ALL]);
  let table = 0;
  return () => {
    do table += 1;
    while (taken.has(table));
    return table;
  };
}

/** Rising, so that the order of policies is the order of rules; a rule stays where it is as long as that is so. */
function prioritiesFrom(now: readonly (number | undefined)[]): number[] {
  const { first, count } = PRIORITIES;
  let last = first - 1;
  const kept = now.map((old) => (last = old !== undefined && old > last ? old : last + 1));
  return last < first + count ? kept : now.map((_, i) => first + i);
}

interface Step {
  readonly policy: PlannedPolicy;
  readonly old: InstalledPolicy | undefined;
  readonly rule: Omit<PolicyRule, 'ours'>;
}

function additions(dev: Device, { policy, old, rule }: Step): Change[] {
  const known = new Set(old?.routes.map(routeKey));
  return [
    ...policy.routes
      .filter((route) => !known.has(routeKey(route)))
      .map((route): Change => ({ op: 'route', dev, route, table: rule.table })),
    ...(old?.priority === rule.priority ? [] : [{ op: 'rule', rule } as const]),
  ];
}

function leftovers(dev: Device, { policy, old, rule }: Step): Change[] {
  if (old === undefined) return [];
  const stay = new Set(policy.routes.map(({ to }) => to));
  return [
    ...(old.priority === rule.priority
      ? []
      : [{ op: 'no-rule', rule: { ...rule, priority: old.priority } } as const]),
    ...old.routes.filter(({ to }) => !stay.has(to)).map((route) => noRoute(dev, rule.table, route)),
  ];
}

const noRoute = (dev: Device, table: number, route: PlannedRoute): Change => ({
  op: 'no-route',
  dev,
  route,
  table,
});

const ruleOf = (
  policy: PlannedPolicy,
  table: number,
  priority: number,
): Omit<PolicyRule, 'ours'> => ({
  family: policyFamily(policy),
  ...selectorOf(policy),
  table,
  priority,
});

const selectorOf = ({ from, proto, srcPorts, dstPorts }: Selector): Selector => ({
  ...(from === undefined ? {} : { from }),
  ...(proto === undefined ? {} : { proto }),
  ...(srcPorts === undefined ? {} : { srcPorts }),
  ...(dstPorts === undefined ? {} : { dstPorts }),
});

/** A policy has routes of one family, which `from` is of too. */
const policyFamily = ({ routes }: PlannedPolicy): 4 | 6 => familyOf(routes[0]?.to ?? '');

const routeKey = ({ to, via, scope }: PlannedRoute): string => JSON.stringify([to, via, scope]);

const familyOf = (text: string): 4 | 6 => (text.includes(':') ? 6 : 4);
