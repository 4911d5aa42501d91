import { Scope, untraced, type Clock, type Trace } from '@nsm/chain';
import {
  INTERFACE_NAME,
  KERNEL,
  LOCAL,
  NETNS_URL,
  type ConnectionElement,
  type RequestUrl,
} from '@nsm/connection';
import { Connection, State, type Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';

/** What is needed to ask for a wire. */
export interface AttemptOptions {
  readonly id: string;
  readonly request: RequestUrl;
  readonly chain: ConnectionElement;
  readonly clock: Clock;
  /** The namespace the interface shall be in: inode://dev/ino. */
  readonly netns: string;
  /** Per attempt, in ms. */
  readonly requestTimeoutMs: number;
  /** Around the attempt and each element of the chain. @default none */
  readonly trace?: Trace | undefined;
  /** Told of every attempt. */
  readonly onAttempt: (attempt: Attempt) => void;
}

/** Why a wire that was up is asked for before it is time to refresh it. */
export type Cause =
  /** A hop of the path says that it is down, or is gone. */
  | 'path is down'
  /** The other end does not answer. */
  | 'wire is dead'
  /** A hop has something new to tell (state REFRESH_REQUESTED). */
  | 'refresh requested';

/** What a wire is recovering from. */
export interface Healing {
  readonly cause: Cause;
  /** When it was noticed, in ms since 1970. */
  readonly since: number;
}

/** One request of a wire and how it ended. */
export interface Attempt {
  readonly kind: 'connect' | 'refresh' | 'reselect';
  readonly ms: number;
  readonly connection: Connection | undefined;
  readonly error: NsmError | undefined;
  readonly healing: Healing | undefined;
}

/** Asks once. @throws NsmError */
export async function attempt(
  options: AttemptOptions,
  what: Pick<Attempt, 'kind' | 'healing'>,
  current: Connection | undefined,
  signal: AbortSignal,
): Promise<Connection> {
  const { chain, clock, onAttempt, requestTimeoutMs, trace = untraced } = options;
  const started = clock.now();
  const call = {
    op: 'request' as const,
    connection: wanted(options, what.kind, current),
    preferences: [mechanismOf(options)],
    token: undefined,
    deadline: started + requestTimeoutMs,
    signal,
    scope: new Scope(),
    trace,
  };
  const told = (connection?: Connection, error?: NsmError): void =>
    onAttempt({ ...what, ms: clock.now() - started, connection, error });
  try {
    const connection = await trace(what.kind, () =>
      chain.run(call, async (last) => last.connection),
    );
    told(connection);
    return connection;
  } catch (thrown) {
    const error = NsmError.from(thrown);
    if (!signal.aborted) told(undefined, error);
    throw error;
  }
}

/** What to ask for: a refresh sends what was answered, a reselection keeps only the path (contract 2.6). */
function wanted(
  { id, request }: AttemptOptions,
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

const mechanismOf = ({ netns, request }: AttemptOptions): Mechanism => ({
  cls: LOCAL,
  type: KERNEL,
  parameters: {
    [NETNS_URL]: netns,
    ...(request.interface !== undefined && { [INTERFACE_NAME]: request.interface }),
  },
});
