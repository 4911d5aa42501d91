import { parseAddress, parsePrefix } from '@nsm/ip';
import {
  addressDelete,
  addressReplace,
  bridgeAdd,
  clsactAdd,
  clsactDelete,
  filterDelete,
  linkDelete,
  linkDeleteGroup,
  linkSet,
  neighbourDelete,
  neighbourReplace,
  type Request,
  type Route,
  routeDelete,
  routeReplace,
  type Rule,
  ruleAdd,
  ruleDelete,
  vethAdd,
  vlanAdd,
  vxlanAdd,
  wireguardAdd,
} from '@nsm/netlink';
import type { Change, Namespace, PolicyRule } from './kernel.ts';
import type { PlannedRoute, PortRange } from './plan.ts';

/** The netlink message of a change. `fdOf` gives the descriptor of an open namespace. */
export function requestOf(
  change: Exclude<Change, { op: 'sysctl' | 'filter' | 'wireguard' }>,
  fdOf: (space: Namespace) => number,
): Request {
  switch (change.op) {
    case 'add-veth':
      return vethAdd(change.link, {
        ...change.peer,
        ...(change.peerIn === undefined ? {} : { netns: fdOf(change.peerIn) }),
      });
    case 'add-vxlan': {
      const { vni, port, local, remote } = change.tunnel;
      const tunnel = { vni, port, local: parseAddress(local), remote: parseAddress(remote) };
      return vxlanAdd({ ...change.link, netns: fdOf(change.bornIn) }, tunnel);
    }
    case 'add-wireguard': {
      const { mac: _, ...link } = change.link;
      return wireguardAdd({ ...link, netns: fdOf(change.bornIn) });
    }
    case 'add-bridge':
      return bridgeAdd(change.link);
    case 'add-vlan':
      return vlanAdd(change.link, change.parent, change.tag);
    case 'clsact':
      return clsactAdd(change.dev);
    case 'no-clsact':
      return clsactDelete(change.dev);
    case 'no-filter':
      return filterDelete(change.dev, change.handle);
    case 'move':
      return linkSet(change.dev, { name: change.name, netns: fdOf(change.to) });
    case 'set':
      return linkSet(change.dev, change.to);
    case 'delete':
      return linkDelete(change.dev);
    case 'delete-group':
      return linkDeleteGroup(change.group);
    case 'address':
      return addressReplace(change.dev, parsePrefix(change.address));
    case 'no-address':
      return addressDelete(change.dev, parsePrefix(change.address));
    case 'route':
      return routeReplace(change.dev, routeOf(change.route, change.table));
    case 'no-route':
      return routeDelete(change.dev, routeOf(change.route, change.table));
    case 'rule':
      return ruleAdd(ruleOf(change.rule));
    case 'no-rule':
      return ruleDelete(ruleOf(change.rule));
    case 'neighbour': {
      const { to, mac, state } = change.neighbour;
      return neighbourReplace(change.dev, { to: parseAddress(to), mac, state });
    }
    case 'no-neighbour':
      return neighbourDelete(change.dev, parseAddress(change.neighbour.to));
  }
}

const routeOf = ({ to, via, scope }: PlannedRoute, table: number | undefined): Route => ({
  to: parsePrefix(to),
  // No address on the link says that the gateway is there (contract 5.3).
  ...(via === undefined ? {} : { via: parseAddress(via), onlink: true }),
  ...(scope === undefined ? {} : { scope }),
  ...(table === undefined ? {} : { table }),
});

const ruleOf = (rule: Omit<PolicyRule, 'ours'>): Rule => ({
  family: rule.family,
  ...(rule.from === undefined ? {} : { from: parsePrefix(rule.from) }),
  ...(rule.proto === undefined ? {} : { ipproto: rule.proto }),
  ...(rule.srcPorts === undefined ? {} : { sport: portsOf(rule.srcPorts) }),
  ...(rule.dstPorts === undefined ? {} : { dport: portsOf(rule.dstPorts) }),
  table: rule.table,
  priority: rule.priority,
});

const portsOf = ([start, end]: PortRange): Rule['sport'] & {} => ({ start, end });
