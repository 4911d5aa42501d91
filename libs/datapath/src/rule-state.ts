import { formatAddress, formatPrefix } from '@nsm/ip';
import {
  type InstalledRoute,
  type InstalledRule,
  listAllRoutes,
  listRules,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  type Rtnetlink,
  RTPROT_NSM,
} from '@nsm/netlink';
import type { PolicyRule, TableRoute } from './kernel.ts';
import type { PlannedRoute } from './plan.ts';

/** The rules of a namespace in the texts of a plan. */
export const rulesOf = (rtnetlink: Rtnetlink): PolicyRule[] => listRules(rtnetlink).map(ruleFrom);

const EVERYWHERE: readonly number[] = [RT_TABLE_DEFAULT, RT_TABLE_MAIN, RT_TABLE_LOCAL];

/** The routes of a namespace in other tables than the three that each has. */
export const tableRoutesOf = (rtnetlink: Rtnetlink): TableRoute[] =>
  listAllRoutes(rtnetlink)
    .filter(({ table }) => !EVERYWHERE.includes(table))
    .map((route) => ({ table: route.table, index: route.index, route: plannedRoute(route) }));

/** A route of the kernel in the texts of a plan. */
export const plannedRoute = ({ to, via, scope }: InstalledRoute): PlannedRoute => ({
  to: formatPrefix(to),
  ...(via === undefined ? {} : { via: formatAddress(via) }),
  ...(scope === 'link' ? { scope } : {}),
});

function ruleFrom(rule: InstalledRule): PolicyRule {
  const { family, from, ipproto, sport, dport, table, priority, protocol } = rule;
  return {
    family,
    ...(from === undefined ? {} : { from: formatPrefix(from) }),
    ...(ipproto === undefined ? {} : { proto: ipproto }),
    ...(sport === undefined ? {} : { srcPorts: [sport.start, sport.end] }),
    ...(dport === undefined ? {} : { dstPorts: [dport.start, dport.end] }),
    table,
    priority,
    ours: protocol === RTPROT_NSM,
  };
}
