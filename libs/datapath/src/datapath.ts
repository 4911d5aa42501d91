import { type Events, openEvents } from '@nsm/netlink';
import { ALIAS_PREFIX } from './alias.ts';
import type { Census, CensusOptions, CountedLink } from './census.ts';
import { checkPlan } from './check.ts';
import { type Plan, samePlan } from './plan.ts';
import { startReaper } from './reaper.ts';
import type { Ensured } from './reconcile.ts';
import { startThread } from './thread.ts';
import { createWatch, type Disturbance } from './watch.ts';
import type { WireguardDevices } from './wireguard/devices.ts';
import { createWireguardWires } from './wireguard/wires.ts';

/**
 * Makes the kernel match plans.
 *
 * Calls are served one after the other in the order they were made, all in one thread of their own, so the caller's event loop never
 * waits for the kernel. Nothing is remembered that the kernel or the caller knows: another process may go on at any time.
 */
export interface Datapath {
  /**
   * Makes the kernel match `plan`; `was` is the plan it replaces, if there was one. Asked twice with the same plan it checks that the
   * links are there and changes nothing. What exists is adjusted (addresses, routes, neighbours, MTU, MAC, name); the link is made anew
   * only when kind, namespace or tunnel change. When it fails, what it made is removed and what it changed is put back.
   * @throws PlanError for a plan that cannot be carried out
   * @throws DatapathError ENOENT: a namespace is gone; EEXIST: the name or VNI belongs to somebody else; else what the kernel said
   */
  ensure(plan: Plan, was?: Plan): Promise<Ensured>;
  /**
   * Takes the links out of service: on return there is no traffic, no address, and the names are free. The kernel's objects go within
   * a second. What is gone already, namespaces included, is fine.
   * @throws PlanError, DatapathError
   */
  remove(plan: Plan): Promise<void>;
  /**
   * Tells of what happens to the wires ensured and nobody asked for, within milliseconds: a link deleted, renamed or taken down by
   * hand, a namespace gone. `ensure` with the same plan repairs the former. Answers false without CAP_NET_BROADCAST: links in other
   * namespaces than the node's are not heard then, and the next refresh repairs them.
   * @throws Errno
   */
  watch(onDisturbed: (disturbance: Disturbance) => void): boolean;
  /** Takes a link out of service that a census found and no plan is known of; false: it is gone, or another's by now. */
  discard(link: CountedLink): Promise<boolean>;
  /** All links of the mesh on this machine, for adoption and sweeping after a restart, and for tests that count. */
  census(options?: CensusOptions): Promise<Census>;
  /** Waits for what was asked and for the reaper, then ends the threads. The links stay. */
  close(): Promise<void>;
}

/** How to program the kernel. */
export interface DatapathOptions {
  /**
   * The node's namespace, whose addresses carry the tunnels: a path or `inode://<dev>/<ino>`.
   * @default the namespace of this process
   */
  readonly node?: string;
  /** At most how many namespaces are cleaned up at a time; each has a thread that does little but wait. @default 2 */
  readonly reapers?: number;
  /** What makes WireGuard devices; without it their plans are refused. */
  readonly wireguard?: WireguardDevices | undefined;
}

/** A change of a link comes as several events within a few milliseconds. */
const SETTLE_MS = 20;
const PREFIX = Buffer.from(ALIAS_PREFIX);
const isOurs = (message: Buffer): boolean => message.includes(PREFIX);

/** Starts the thread that programs the kernel. Needs CAP_NET_ADMIN in every namespace and CAP_SYS_ADMIN to enter it. */
export function createDatapath({ node, reapers = 2, wireguard }: DatapathOptions = {}): Datapath {
  const data = node === undefined ? {} : { node };
  const reaper = startReaper(() => startThread(data), reapers);
  const thread = startThread(data, (buried) => reaper.add(buried));
  const wires = createWireguardWires(thread, wireguard);
  const checked = new WeakSet<Plan>();
  let listener: (disturbance: Disturbance) => void = () => undefined;
  const watch = createWatch({
    onDisturbed: (disturbance) => listener(disturbance),
    soon: (action) => void setTimeout(action, SETTLE_MS).unref(),
  });
  let events: Events | undefined;
  return {
    ensure: async (plan, was) => {
      // One that means the same was checked when it was new. Whoever compares the two again shall see it at a glance.
      const before = was !== undefined && samePlan(plan, was) ? plan : was;
      if (before !== plan) checkPlan(plan);
      checked.add(plan);
      const { nsids, ...ensured } = await wires.ensure(plan, before);
      watch.expect(plan, nsids);
      return ensured;
    },
    remove: async (plan) => {
      if (!checked.has(plan)) checkPlan(plan);
      watch.forget(plan.id);
      await wires.remove(plan);
    },
    watch: (onDisturbed) => {
      listener = onDisturbed;
      events ??= openEvents((event) => watch.hear(event), {
        concerns: isOurs,
        ...(node === undefined ? {} : { netns: node }),
      });
      return events.everywhere;
    },
    discard: ({ counters: _, ...link }) => thread.run({ job: 'discard', link }),
    census: (options) => thread.run({ job: 'census', options }),
    close: async () => {
      events?.close();
      await thread.close();
      await reaper.close();
    },
  };
}
