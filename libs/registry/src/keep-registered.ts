import { pause, type Clock } from '@nsm/chain';
import { millis } from '@nsm/identity';
import type { Timestamp } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { ATTEMPT_MS, type KindClient } from './client.ts';
import type { Entry } from './kind.ts';
import type { RegistryPath } from './registry-path.ts';

export interface KeepOptions {
  readonly clock: Clock;
  /** A number in [0, 1). */
  random(): number;
  /** Told of each attempt: `error` undefined where it succeeded. */
  readonly onAttempt?: ((error: NsmError | undefined) => void) | undefined;
}

/** A registration that is kept up. */
export interface Keeper<T> {
  /** Resolves with the first answer; rejects when stopped before. */
  readonly ready: Promise<T>;
  /** The last answer. */
  current(): T | undefined;
  /** Registers something else under the same name from now on. */
  update(entry: T): void;
  /** Ends keeping and, by default, unregisters; fails where the registry could not be told. */
  stop(options?: { readonly unregister: boolean }): Promise<void>;
}

/** Contract 6.5: time between attempts, in ms; also the least time between two registrations. */
const RETRY_MS = 200;
/** A refusal that trying again will not change is tried again all the same, but slowly, in ms. */
const REFUSED_MS = 5_000;
/** A refresh has this long before the end, in ms, where the lifetime allows: a busy machine may be slow, and there is more than one try. */
const SLACK_MS = 5_000;
/** Time to say goodbye, in ms. */
const LEAVE_MS = 5_000;

/**
 * Registers an entry and keeps it registered until stopped: refreshed at two thirds of its lifetime, somewhat earlier at
 * random, and registered again at once when the registry was lost or has lost the endpoint (contract 6.5).
 */
export function keepRegistered<T extends Entry & { expirationTime?: Timestamp | undefined }>(
  client: Pick<KindClient<T>, 'kind' | 'register' | 'unregister' | 'follow'>,
  entry: T,
  options: KeepOptions,
): Keeper<T> {
  const { clock, onAttempt } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const { promise: ready, resolve, reject } = Promise.withResolvers<T>();
  ready.catch(() => undefined); // nobody has to wait for it
  const isEndpoint = client.kind.noun === 'NetworkServiceEndpoint';
  let wanted = entry;
  let answered: T | undefined;
  let path: RegistryPath | undefined;
  /** Set when the entry has to be registered again before its time. */
  let again = false;
  let wake = (): void => undefined;
  const registerAgain = (): void => {
    again = true;
    wake();
  };

  const attempt = async (): Promise<number> => {
    again = false;
    const sent = wanted;
    try {
      const deadline = clock.now() + ATTEMPT_MS;
      const result = await client.register(sent, { path, signal, deadline });
      ({ path } = result);
      answered = result.entry;
      if (wanted === sent) wanted = toRefresh(answered, sent.name);
      resolve(answered);
      onAttempt?.(undefined);
      return refreshIn(answered, clock.now(), options.random());
    } catch (thrown) {
      const error = NsmError.from(thrown);
      if (!signal.aborted) onAttempt?.(error);
      again = true;
      return error.retry ? RETRY_MS : REFUSED_MS;
    }
  };

  const run = async (): Promise<void> => {
    let watching: Promise<void> | undefined;
    while (!signal.aborted) {
      const ms = await attempt();
      if (answered !== undefined)
        watching ??= client.follow({ name: entry.name } as Partial<T>, signal, ({ type }) => {
          // An endpoint that lives is there; a service that somebody takes away is not there any more.
          if (type === 'lost' || (type === 'deleted' && isEndpoint)) registerAgain();
        });
      const retrying = again;
      await pause(clock, retrying ? ms : RETRY_MS, signal);
      if (!retrying) await refreshDue(ms - RETRY_MS);
    }
    await watching;
  };

  /** Waits for the time of the refresh, or for a reason to do it now. */
  const refreshDue = async (ms: number): Promise<void> => {
    const due = new AbortController();
    wake = () => due.abort();
    if (again) due.abort();
    await pause(clock, ms, AbortSignal.any([signal, due.signal]));
    wake = () => undefined;
  };

  const leave = async (unregister: boolean): Promise<void> => {
    const reason = new NsmError('cancelled', `${entry.name} is no longer kept registered`);
    stopping.abort(reason);
    reject(reason);
    await running;
    if (!unregister) return;
    // Also where there was no answer: an attempt that was cut off may have succeeded.
    await client.unregister(wanted, { path, deadline: clock.now() + LEAVE_MS });
  };

  const running = run();
  let left: Promise<void> | undefined;
  return {
    ready,
    current: () => answered,
    update: (changed) => {
      wanted = changed;
      registerAgain();
    },
    stop: ({ unregister } = { unregister: true }) => (left ??= leave(unregister)),
  };
}

/** What a refresh sends: the last answer, whose lifetime is the registry's to say again (contract 6.5, begin). */
const toRefresh = <T extends Entry>(answered: T, name: string): T => ({
  ...answered,
  name,
  ...('expirationTime' in answered && { expirationTime: undefined }),
});

/**
 * Contract 6.5: at two thirds of what remains; never, where nothing ends. Up to a tenth of that earlier. Of a short life, as one that ends
 * with a short-lived certificate, down to one third.
 */
function refreshIn(
  { expirationTime }: { expirationTime?: Timestamp | undefined },
  now: number,
  random: number,
): number {
  if (expirationTime === undefined) return Number.POSITIVE_INFINITY;
  const left = Math.max(0, millis(expirationTime) - now);
  const due = Math.max(left / 3, Math.min((left * 2) / 3, left - SLACK_MS));
  return due * (1 - random / 10);
}
