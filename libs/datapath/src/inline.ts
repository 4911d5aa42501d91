import { reap } from './bury.ts';
import { checkPlan } from './check.ts';
import { createNetlinkKernel } from './netlink-kernel.ts';
import type { Plan } from './plan.ts';
import { createReconciler } from './reconcile.ts';

/** Wires of the caller's own thread, which waits for the kernel meanwhile: to measure what a data path costs besides its thread. */
export interface InlineWires {
  /** As `Datapath.ensure`. @throws PlanError, DatapathError */
  ensure(plan: Plan, was?: Plan): void;
  /** As `Datapath.remove`. @throws PlanError, DatapathError */
  remove(plan: Plan): void;
  /** Deletes what was removed in a namespace `inode://<dev>/<ino>`, and its other ends. */
  reap(netns: string): void;
  close(): void;
}

/** The namespace of this process is the node's. */
export function createInlineWires(): InlineWires {
  const kernel = createNetlinkKernel();
  const reconciler = createReconciler(kernel, () => undefined);
  return {
    ensure: (plan, was) => {
      if (plan !== was) checkPlan(plan);
      reconciler.ensure(plan, was);
    },
    remove: (plan) => reconciler.remove(plan),
    reap: (netns) => reap(kernel, netns),
    close: () => kernel.close(),
  };
}
