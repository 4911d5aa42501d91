import { setTimeout as pause } from 'node:timers/promises';
import type { Datapath, InlineWires, Plan } from '@nsm/datapath';
import { readFileSync } from 'node:fs';
import { inNetns } from '@nsm/netlink';
import { byHand, reapByHand } from './by-hand.ts';
import type { Place } from './places.ts';
import type { Way } from './wire-cost.ts';

const POLL_MS = 10;
/** Read where nobody has to wait for the kernel's lock on links, which a removal in the background holds. */
const linksIn = ({ path }: Place): number =>
  inNetns(path, () => readFileSync('/proc/thread-self/net/dev', 'utf8')).split('\n').length;

/** Waits until a pod has no more links than it began with. */
async function emptied(pod: Place, links: number): Promise<void> {
  while (linksIn(pod) > links) await pause(POLL_MS);
}

/** Wires by the data path. The plans are made before: that is the work of a request. */
export function ours(name: string, datapath: Datapath, plans: readonly Plan[], pod: Place): Way {
  const links = linksIn(pod);
  const plan = (n: number): Plan => at(plans, n);
  return {
    name,
    create: async (n) => {
      await datapath.ensure(plan(n));
    },
    refresh: async (n) => {
      await datapath.ensure(plan(n), plan(n));
    },
    close: (n) => datapath.remove(plan(n)),
    settle: () => emptied(pod, links),
  };
}

/** The same without a thread between us and the kernel. */
export function inline(name: string, wires: InlineWires, plans: readonly Plan[], pod: Place): Way {
  const plan = (n: number): Plan => at(plans, n);
  return {
    name,
    create: (n) => wires.ensure(plan(n)),
    refresh: (n) => wires.ensure(plan(n), plan(n)),
    close: (n) => wires.remove(plan(n)),
    settle: () => wires.reap(pod.netns),
  };
}

/** The same wires by hand. @param pods those of the plans' ends, in their order */
export function handMade(
  name: string,
  plans: readonly Plan[],
  pods: readonly Place[],
  node: Place,
): Way {
  const paths = pods.map(({ path }) => path);
  const wires = plans.map((plan) => byHand(plan, paths, node.path));
  return {
    name,
    create: (n) => at(wires, n).create(),
    refresh: (n) => at(wires, n).refresh(),
    close: (n) => at(wires, n).close(),
    settle: () => reapByHand(paths[0] ?? ''),
  };
}

function at<T>(items: readonly T[], n: number): T {
  const item = items[n];
  if (item === undefined) throw new Error(`there is no wire ${n}`);
  return item;
}
