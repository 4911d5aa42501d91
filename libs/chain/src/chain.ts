import type { Scope } from './scope.ts';

/** Wraps the run of one element; given by whoever starts a chain, for spans and logs. */
export type Trace = <T>(element: string, body: () => Promise<T>) => Promise<T>;

/** The trace that does nothing. */
export const untraced: Trace = (_element, body) => body();

/** What the engine needs to know of a call; services add their own fields. */
export interface BaseCall {
  readonly scope: Scope;
  readonly signal: AbortSignal;
  readonly trace: Trace;
}

/** The rest of the chain. A transaction: when it rejects, everything downstream has already been undone. */
export type Next<C, R> = (call: C) => Promise<R>;

/**
 * One step of a service's behaviour. It does one thing that its name says, passes a changed copy of the call on, and
 * registers the undo of whatever it leaves in the world in the call's scope before it acts.
 */
export interface Element<C, R> {
  readonly name: string;
  run(call: C, next: Next<C, R>): Promise<R>;
}

/** Composes elements into one, run in the order given. */
export function chain<C extends BaseCall, R>(...elements: readonly Element<C, R>[]): Element<C, R> {
  const from = (i: number, last: Next<C, R>): Next<C, R> => {
    let succeeded = false;
    return async (call) => {
      if (succeeded) throw new Error(`next() called again after it succeeded, at element ${i}`);
      call.signal.throwIfAborted();
      const mark = call.scope.mark;
      const element = elements[i];
      try {
        const result = element
          ? await call.trace(element.name, () => element.run(call, from(i + 1, last)))
          : await last(call);
        succeeded = true;
        return result;
      } catch (err) {
        const failures = await call.scope.unwind(mark);
        throw failures.length > 0 ? new UndoError(err, failures) : err;
      }
    };
  };
  return {
    name: elements.map((element) => element.name).join(' > '),
    run: (call, next) => from(0, next)(call),
  };
}

/** A run failed (`cause`), and so did some of its undos (`failures`): something may be left behind. */
export class UndoError extends Error {
  readonly failures: readonly unknown[];

  constructor(cause: unknown, failures: readonly unknown[]) {
    const text = (err: unknown): string => (Error.isError(err) ? err.message : String(err));
    super(`${text(cause)}; undoing it failed too: ${failures.map(text).join('; ')}`, { cause });
    this.name = 'UndoError';
    this.failures = failures;
  }
}
