import type { Census, CensusOptions, CountedLink } from './census.ts';
import type { Failure } from './error.ts';
import type { Plan } from './plan.ts';
import type { Reconciled } from './reconcile.ts';
import type { KeyPair } from './wireguard/key.ts';

/** What the kernel thread can be asked. */
export type Job =
  /**
   * `was`: the plan that this one replaces; `same`: one that means the same, which need not be sent twice. `keys`: those of a
   * WireGuard device that is the kernel's own.
   */
  | {
      readonly job: 'ensure';
      readonly plan: Plan;
      readonly was?: Plan | 'same';
      readonly keys?: KeyPair;
    }
  | { readonly job: 'remove'; readonly plan: Plan }
  | { readonly job: 'discard'; readonly link: Omit<CountedLink, 'counters'> }
  | { readonly job: 'census'; readonly options?: CensusOptions | undefined }
  | { readonly job: 'reap'; readonly netns: string; readonly nsid?: number | undefined };

/** What a job answers. */
export type Result<J extends Job> = J extends { job: 'census' }
  ? Census
  : J extends { job: 'ensure' }
    ? Reconciled
    : J extends { job: 'discard' }
      ? boolean
      : undefined;

/** Asks the thread to end by itself: one that is terminated while it loads the FFI library takes the process with it. */
export const END = 'end';

/** One job on its way to the thread, as JSON. */
export interface Call {
  readonly id: number;
  readonly job: Job;
}

/** The thread's answer; jobs are answered in order. `buried` are namespaces with work for the reaper, also after a failure. */
export interface Reply {
  readonly id: number;
  readonly result?: Census | Reconciled | boolean;
  readonly failure?: Failure;
  readonly buried: readonly Buried[];
}

/** A namespace in which links wait for the reaper, and its number at home, where it is known. */
export interface Buried {
  readonly netns: string;
  readonly nsid?: number | undefined;
}

/** What a thread is started with. */
export interface ThreadData {
  /** The namespace to live in. */
  readonly node?: string;
}
