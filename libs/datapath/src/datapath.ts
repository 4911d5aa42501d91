import type { Census } from './census.ts';
import { checkPlan } from './check.ts';
import type { Plan } from './plan.ts';
import { startReaper } from './reaper.ts';
import { startThread } from './thread.ts';

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
  ensure(plan: Plan, was?: Plan): Promise<void>;
  /**
   * Takes the links out of service: on return there is no traffic, no address, and the names are free. The kernel's objects go within
   * a second. What is gone already, namespaces included, is fine.
   * @throws PlanError, DatapathError
   */
  remove(plan: Plan): Promise<void>;
  /** All links of the mesh on this machine, for adoption and sweeping after a restart, and for tests that count. */
  census(): Promise<Census>;
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
}

/** Starts the thread that programs the kernel. Needs CAP_NET_ADMIN in every namespace and CAP_SYS_ADMIN to enter it. */
export function createDatapath({ node, reapers = 2 }: DatapathOptions = {}): Datapath {
  const data = node === undefined ? {} : { node };
  const reaper = startReaper(() => startThread({}), reapers);
  const thread = startThread(data, (netns) => reaper.add(netns));
  return {
    ensure: async (plan, was) => {
      checkPlan(plan);
      await thread.run({ job: 'ensure', plan, ...(was === undefined ? {} : { was }) });
    },
    remove: async (plan) => {
      checkPlan(plan);
      await thread.run({ job: 'remove', plan });
    },
    census: () => thread.run({ job: 'census' }),
    close: async () => {
      await thread.close();
      await reaper.close();
    },
  };
}
