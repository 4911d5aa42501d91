import { closeSync } from 'node:fs';
import { parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  awaitAddress,
  awaitLink,
  bridgeAdd,
  createNetns,
  deleteNetns,
  formatNetns,
  getLink,
  linkSet,
  netnsOf,
  openNetns,
  type NetnsRef,
  parseNetns,
  type Rtnetlink,
  vethAdd,
  withRtnetlink,
} from '@nsm/netlink';
import type { Plan, PlannedNamespace, PlannedPort } from './planned.ts';

const LOOPBACK = 1;
const BRIDGE = 'br0';
const UPLINK = 'eth0';

/**
 * Makes the namespaces of a plan and joins nodes and registry by the underlay. Tells `made` of each namespace (`inode://...`) at once,
 * so that it can be removed again whatever happens next.
 * @throws Error EPERM without the right to, EEXIST when a namespace of the name is there; Errno, NetlinkError
 */
export function createNamespaces(plan: Plan, made: (name: string, netns: string) => void): void {
  for (const { name, path } of plan.namespaces) {
    createNetns(path);
    made(name, formatNetns(netnsOf(path)));
    withRtnetlink(path, (rt) => rt.request([linkSet(LOOPBACK, { up: true })]));
  }
  const paths = new Map(plan.namespaces.map(({ name, path }) => [name, path]));
  const underlay = paths.get('underlay');
  if (underlay === undefined) return;
  withRtnetlink(underlay, (rt) => {
    rt.request([bridgeAdd({ name: BRIDGE })]);
    const bridge = indexOf(rt, BRIDGE);
    // No link-local addresses: they would come and go by themselves, and a census would see it.
    rt.request([
      linkSet(bridge, { addrGenMode: 'none', mtu: plan.underlay.mtu }),
      linkSet(bridge, { up: true }),
    ]);
    for (const port of plan.underlay.ports) {
      const path = paths.get(port.namespace);
      if (path !== undefined) joinUnderlay(rt, bridge, port, { path, mtu: plan.underlay.mtu });
    }
  });
}

/** Removes the namespaces of a plan; those that are gone already are fine. @throws AggregateError of what could not be removed */
export function removeNamespaces(namespaces: readonly PlannedNamespace[]): void {
  const failures: unknown[] = [];
  for (const { path } of namespaces)
    try {
      deleteNetns(path);
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0)
    throw new AggregateError(
      failures,
      `not all namespaces could be removed: ${failures.join('; ')}`,
    );
}

/** Of the namespaces made, those that still are what they were. A path may be gone, or mean another namespace now. */
export const presentNamespaces = (
  namespaces: readonly PlannedNamespace[],
  made: Readonly<Record<string, string>>,
): NetnsRef[] =>
  namespaces.flatMap(({ name, path }) => {
    const ref = parseNetns(made[name] ?? '');
    try {
      const now = netnsOf(path);
      return ref?.dev === now.dev && ref.ino === now.ino ? [now] : [];
    } catch {
      return [];
    }
  });

function joinUnderlay(
  rt: Rtnetlink,
  bridge: number,
  { name, address }: PlannedPort,
  into: { readonly path: string; readonly mtu: number },
): void {
  const { path, mtu } = into;
  const netns = openNetns(path);
  try {
    rt.request([vethAdd({ name: UPLINK, netns, mtu }, { name, mtu })]);
    const port = indexOf(rt, name);
    rt.request([
      linkSet(port, { addrGenMode: 'none', master: bridge }),
      linkSet(port, { up: true }),
    ]);
    withRtnetlink(netns, (inside) => {
      const uplink = indexOf(inside, UPLINK);
      inside.request([
        linkSet(uplink, { addrGenMode: 'none' }),
        linkSet(uplink, { up: true }),
        addressReplace(uplink, parsePrefix(address)),
      ]);
      awaitLink(inside, uplink);
      awaitAddress(inside, parsePrefix(address));
    });
    awaitLink(rt, port);
  } finally {
    closeSync(netns);
  }
}

function indexOf(rt: Rtnetlink, name: string): number {
  const link = getLink(rt, name);
  if (link === undefined) throw new Error(`the link ${name} vanished while the lab was made`);
  return link.index;
}
