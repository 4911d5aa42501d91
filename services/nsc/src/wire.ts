import { pause } from '@nsm/chain';
import { firstExpiry, pathOf, type Connections } from '@nsm/connection';
import { State, type Connection } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { attempt, type Attempt, type AttemptOptions, type Healing } from './attempt.ts';
import type { Liveness } from './liveness.ts';
import { createRest } from './rest.ts';

/** Between attempts, in ms (contract 2.5). A wire that was up is asked for sooner than one that never was. */
const RETRY_MS = { new: 200, healing: 50 } as const;
const LONGEST_RETRY_MS = { new: 5_000, healing: 1_000 } as const;
/**
 * How long a wire that carries packets outlives what the registry says of its endpoint, in ms: a registry or manager that has just
 * started does not know everybody yet.
 */
const GONE_GRACE_MS = 10_000;
/**
 * A wire that carries packets is asked for again some time within this, in ms: whoever hears of a manager's restart hears of it together
 * with all others.
 */
const HERD_MS = 200;

export interface WireOptions extends AttemptOptions {
  readonly connections: Connections;
  readonly random: () => number;
  /** Finds the connection that an earlier process of the same id left, as the manager knows it. @throws NsmError */
  readonly recover?: ((signal: AbortSignal) => Promise<Connection | undefined>) | undefined;
  /** How to find out whether the wire carries packets; undefined: nobody asks, and a path that is down counts as dead. */
  readonly liveness?: Liveness | undefined;
}

/** One wire of this client. */
export interface Wire {
  /** Resolves when the wire is up for the first time; rejects when it was closed before. */
  readonly up: Promise<Connection>;
  /** Takes the wire down along its path. */
  close(): Promise<void>;
}

/**
 * Keeps a wire up (contract 3.6): asks until it is there, refreshes it long before its tokens end; when its path is down asks again
 * along the same path as long as packets pass, and for another endpoint when they do not.
 */
export function keepWire(options: WireOptions): Wire {
  const { id, connections } = options;
  const up = Promise.withResolvers<Connection>();
  up.promise.catch(() => undefined); // who does not ask need not hear
  const stopping = new AbortController();
  const kept = keep(options, stopping.signal, up.resolve);
  return {
    up: up.promise,
    close: async () => {
      stopping.abort(new NsmError('cancelled', 'the client stops'));
      await kept;
      up.reject(new NsmError('cancelled', 'closed before it was up'));
      await connections.close(id);
    },
  };
}

async function keep(
  options: WireOptions,
  signal: AbortSignal,
  onUp: (connection: Connection) => void,
): Promise<void> {
  const { clock, random } = options;
  const rest = createRest({ liveness: undefined, ...options }, signal);
  let current = await recovered(options, signal);
  let kind = await firstKind(current, options, signal);
  let healing: Healing | undefined;
  let goneSince: number | undefined;
  for (let failures = 0; !signal.aborted;) {
    try {
      current = await attempt(options, { kind, healing }, current, signal);
      onUp(current);
      failures = 0;
      goneSince = undefined;
      const cause = await rest.until(current, refreshAfter(current, clock.now(), random()), signal);
      healing = cause && { cause, since: clock.now() };
      kind = healing ? await kindFor(healing, current, options, signal) : 'refresh';
      if (healing && kind === 'refresh') await pause(clock, HERD_MS * random(), signal);
    } catch (thrown) {
      failures += 1;
      const error = NsmError.from(thrown);
      goneSince = isGone(error) ? (goneSince ?? clock.now()) : undefined;
      kind = await nextKind({ kind, error, current, goneSince }, options, signal);
      await pause(clock, retryAfter(failures, healing, random()), signal);
    }
  }
}

/**
 * Asks until the manager has answered, or does not tell: a wire that was not found would be made a second time, and could not have the
 * interface that the first one has.
 */
async function recovered(
  { recover, clock, random, onAttempt }: WireOptions,
  signal: AbortSignal,
): Promise<Connection | undefined> {
  for (let failures = 1; recover !== undefined && !signal.aborted; failures += 1) {
    const started = clock.now();
    try {
      return await recover(signal);
    } catch (thrown) {
      const error = NsmError.from(thrown);
      if (error.code === 'unimplemented' || error.code === 'permission-denied') return undefined;
      // A manager that cannot be asked for what there is cannot be asked for a wire.
      const ms = clock.now() - started;
      if (error.code !== 'cancelled')
        onAttempt({ kind: 'connect', ms, connection: undefined, error, healing: undefined });
      await pause(clock, retryAfter(failures, undefined, random()), signal);
    }
  }
  return undefined;
}

/** A wire that was recovered is refreshed, unless it is known to be dead (contract 3.9). */
async function firstKind(
  recovered: Connection | undefined,
  { liveness }: WireOptions,
  signal: AbortSignal,
): Promise<Attempt['kind']> {
  if (recovered === undefined) return 'connect';
  const dead =
    recovered.state === State.DOWN && liveness && !(await liveness.alive(recovered, signal));
  return dead === true ? 'reselect' : 'refresh';
}

async function kindFor(
  { cause }: Healing,
  current: Connection,
  { liveness }: WireOptions,
  signal: AbortSignal,
): Promise<Attempt['kind']> {
  if (cause === 'refresh requested') return 'refresh';
  if (cause === 'wire is dead' || liveness === undefined) return 'reselect';
  return (await liveness.alive(current, signal)) ? 'refresh' : 'reselect';
}

interface Failed {
  readonly kind: Attempt['kind'];
  readonly error: NsmError;
  readonly current: Connection | undefined;
  /** Since when whatever it goes to is said to be gone, in ms since 1970. */
  readonly goneSince: number | undefined;
}

/** A wire whose time is up, or that carries nothing, is asked for anew; one that only could not be refreshed is refreshed again. */
async function nextKind(
  { kind, error, current, goneSince }: Failed,
  { clock, liveness }: WireOptions,
  signal: AbortSignal,
): Promise<Attempt['kind']> {
  if (!current) return 'connect';
  if (kind === 'reselect' || firstExpiry(current) <= clock.now()) return 'reselect';
  if (liveness === undefined) return isGone(error) ? 'reselect' : 'refresh';
  if (goneSince !== undefined && clock.now() - goneSince >= GONE_GRACE_MS) return 'reselect';
  return (await liveness.alive(current, signal)) ? 'refresh' : 'reselect';
}

const isGone = ({ code }: NsmError): boolean =>
  code === 'not-found' || code === 'no-candidate' || code === 'conflict';

/** Twice as long each time, moved by up to a quarter so that those who wait together do not come together. */
function retryAfter(failures: number, healing: Healing | undefined, random: number): number {
  const pace = healing ? 'healing' : 'new';
  const ms = Math.min(RETRY_MS[pace] * 2 ** Math.min(failures - 1, 10), LONGEST_RETRY_MS[pace]);
  return ms * (0.75 + random / 2);
}

/** ms until the refresh (contract 2.5), moved by up to a tenth so that clients which started together do not stay together. */
export function refreshAfter(connection: Connection, now: number, random: number): number {
  const left = firstExpiry(connection) - now;
  const { index, pathSegments } = pathOf(connection);
  const scale =
    pathSegments.length === 1 ? 1 / 3 : 0.2 + (0.2 * index) / Math.max(1, pathSegments.length);
  return Math.max(0, left * scale * (0.9 + 0.2 * random));
}
