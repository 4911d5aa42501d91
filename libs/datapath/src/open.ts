import { formatAlias } from './alias.ts';
import { codeOf } from './error.ts';
import type { Kernel, Namespace } from './kernel.ts';
import { type End, endsOf, type Plan, type Side } from './plan.ts';

/** An end of a plan in its open namespace. */
export interface OpenEnd {
  readonly side: Side;
  readonly end: End;
  readonly alias: string;
  readonly space: Namespace;
}

/** Runs `use` with the namespaces of a plan's ends open. @throws Error with code ENOENT when one is gone, and what `use` throws */
export function withEnds<T>(kernel: Kernel, plan: Plan, use: (ends: readonly OpenEnd[]) => T): T {
  const open: OpenEnd[] = [];
  try {
    for (const { side, end } of endsOf(plan))
      open.push({
        side,
        end,
        alias: formatAlias({ ...plan, side }),
        space: kernel.enter(end.netns),
      });
    return use(open);
  } finally {
    for (const { space } of open) space.leave();
  }
}

/** Runs `use` with a namespace open; undefined when the namespace is gone. */
export function withNamespace<T>(
  kernel: Kernel,
  netns: string,
  use: (space: Namespace) => T,
): T | undefined {
  const space = enterIf(kernel, netns);
  if (space === undefined) return undefined;
  try {
    return use(space);
  } finally {
    space.leave();
  }
}

function enterIf(kernel: Kernel, netns: string): Namespace | undefined {
  try {
    return kernel.enter(netns);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
