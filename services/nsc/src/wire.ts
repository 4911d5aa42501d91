import { pause, Scope, untraced, type Clock } from '@nsm/chain';
import {
  firstExpiry,
  INTERFACE_NAME,
  KERNEL,
  LOCAL,
  NETNS_URL,
  pathOf,
  type ConnectionElement,
  type Connections,
  type RequestUrl,
} from '@nsm/connection';
import { Connection, State, type Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';

/** Between attempts, in ms (contract 2.5). */
const RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;

export interface WireOptions {
  readonly id: string;
  readonly request: RequestUrl;
  readonly chain: ConnectionElement;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly random: () => number;
  /** The namespace the interface shall be in: inode://dev/ino. */
  readonly netns: string;
  /** Per attempt, in ms. */
  readonly requestTimeoutMs: number;
  /** A connection that an earlier process of the same id left, as the manager knows it. */
  readonly recovered?: Connection | undefined;
  /** Told of every attempt. */
  readonly onAttempt: (attempt: Attempt) => void;
}

/** One request of a wire and how it ended. */
export interface Attempt {
  readonly kind: 'connect' | 'refresh' | 'reselect';
  readonly ms: number;
  readonly connection: Connection | undefined;
  readonly error: NsmError | undefined;
}

/** One wire of this client. */
export interface Wire {
  /** Resolves when the wire is up for the first time; rejects when it was closed before. */
  readonly up: Promise<Connection>;
  /** Takes the wire down along its path. */
  close(): Promise<void>;
}

/**
 * Keeps a wire up: asks until it is there, refreshes it long before its tokens end, and asks for another endpoint when
 * the one it has is gone.
 */
export function keepWire(options: WireOptions): Wire {
  const { id, clock, connections } = options;
  const up = Promise.withResolvers<Connection>();
  up.promise.catch(() => undefined); // who does not ask need not hear
  const stopping = new AbortController();
  const keep = async (): Promise<void> => {
    let current = options.recovered;
    let kind: Attempt['kind'] = current ? 'refresh' : 'connect';
    for (let failures = 0; !stopping.signal.aborted;) {
      try {
        current = await attempt(options, kind, current, stopping.signal);
        up.resolve(current);
        failures = 0;
        kind = 'refresh';
        await pause(clock, refreshAfter(current, clock.now(), options.random()), stopping.signal);
      } catch (err) {
        failures += 1;
        kind = nextKind(kind, NsmError.from(err), current, clock.now());
        await pause(
          clock,
          Math.min(RETRY_MS * 2 ** Math.min(failures - 1, 10), LONGEST_RETRY_MS),
          stopping.signal,
        );
      }
    }
  };
  const kept = keep();
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

async function attempt(
  options: WireOptions,
  kind: Attempt['kind'],
  current: Connection | undefined,
  signal: AbortSignal,
): Promise<Connection> {
  const { chain, clock, onAttempt, requestTimeoutMs } = options;
  const started = clock.now();
  const call = {
    op: 'request' as const,
    connection: wanted(options, kind, current),
    preferences: [mechanismOf(options)],
    token: undefined,
    deadline: started + requestTimeoutMs,
    signal,
    scope: new Scope(),
    trace: untraced,
  };
  try {
    const connection = await chain.run(call, async (last) => last.connection);
    onAttempt({ kind, ms: clock.now() - started, connection, error: undefined });
    return connection;
  } catch (thrown) {
    const error = NsmError.from(thrown);
    if (!signal.aborted)
      onAttempt({ kind, ms: clock.now() - started, connection: undefined, error });
    throw error;
  }
}

/** What to ask for: a refresh sends what was answered, a reselection keeps only the path (contract 2.6). */
function wanted(
  { id, request }: WireOptions,
  kind: Attempt['kind'],
  current: Connection | undefined,
): Connection {
  if (kind === 'refresh' && current) return current;
  const fresh = Connection.fromPartial({
    id,
    networkService: request.service,
    labels: request.labels,
  });
  return current ? { ...fresh, path: current.path, state: State.RESELECT_REQUESTED } : fresh;
}

const mechanismOf = ({ netns, request }: WireOptions): Mechanism => ({
  cls: LOCAL,
  type: KERNEL,
  parameters: {
    [NETNS_URL]: netns,
    ...(request.interface !== undefined && { [INTERFACE_NAME]: request.interface }),
  },
});

/** A wire that is gone, or whose time is up, is asked for anew; one that only could not be refreshed is refreshed again. */
function nextKind(
  kind: Attempt['kind'],
  error: NsmError,
  current: Connection | undefined,
  now: number,
): Attempt['kind'] {
  if (!current) return 'connect';
  const gone =
    error.code === 'not-found' || error.code === 'no-candidate' || error.code === 'conflict';
  return kind === 'reselect' || gone || firstExpiry(current) <= now ? 'reselect' : 'refresh';
}

/** ms until the refresh (contract 2.5), moved by up to a tenth so that clients which started together do not stay together. */
export function refreshAfter(connection: Connection, now: number, random: number): number {
  const left = firstExpiry(connection) - now;
  const { index, pathSegments } = pathOf(connection);
  const scale =
    pathSegments.length === 1 ? 1 / 3 : 0.2 + (0.2 * index) / Math.max(1, pathSegments.length);
  return Math.max(0, left * scale * (0.9 + 0.2 * random));
}
