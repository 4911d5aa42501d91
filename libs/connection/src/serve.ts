import { Scope, untraced, type Trace } from '@nsm/chain';
import { tokenFrom } from '@nsm/identity';
import {
  Connection,
  Empty,
  MonitorConnectionDefinition,
  NetworkServiceDefinition,
} from '@nsm/proto';
import type { Policies } from '@nsm/policy';
import {
  namingElements,
  NsmError,
  service,
  type Peer,
  type ServerContext,
  type Service,
} from '@nsm/rpc';
import type { Call, ConnectionElement } from './call.ts';
import type { Connections } from './connections.ts';
import { EVENTS_HEADER, STATES_ONLY } from './feed.ts';
import { pathOf } from './path.ts';
import { selects } from './selector.ts';

/** Told of each call that ended. */
export interface Outcome {
  readonly op: 'request' | 'close';
  /** As the caller sent it. */
  readonly connection: Connection;
  readonly ms: number;
  readonly error: NsmError | undefined;
}

export interface ServeOptions {
  readonly chain: ConnectionElement;
  readonly connections: Connections;
  readonly policies: Policies;
  /** ms since 1970. */
  readonly now: () => number;
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly trace?: Trace;
}

/** The services of a hop: NetworkService over its chain, MonitorConnection over its table. */
export function serveConnections({
  chain,
  connections,
  policies,
  now,
  onOutcome,
  trace = untraced,
}: ServeOptions): Service[] {
  const run = async (
    op: Call['op'],
    connection: Connection,
    preferences: Call['preferences'],
    context: ServerContext,
  ): Promise<Connection> => {
    const started = now();
    const token = tokenFrom((name) => context.header(name));
    const { signal, deadline, peer, descriptors } = context;
    const scope = new Scope();
    const call: Call = {
      op,
      connection,
      preferences,
      peer,
      descriptors,
      token,
      deadline,
      signal,
      scope,
      trace: namingElements(trace),
    };
    try {
      const answer = await chain.run(call, async (last) => last.connection);
      if (op === 'request' && signal.aborted) {
        await scope.close();
        throw new NsmError('cancelled', 'the caller gave up before the answer was there');
      }
      onOutcome?.({ op, connection, ms: now() - started, error: undefined });
      return answer;
    } catch (thrown) {
      const error = NsmError.from(thrown);
      error.connection ??= connection.id;
      onOutcome?.({ op, connection, ms: now() - started, error });
      throw error;
    }
  };
  return [
    service(NetworkServiceDefinition, {
      request: (request, context) =>
        run(
          'request',
          request.connection ?? Connection.create(),
          request.mechanismPreferences,
          context,
        ),
      close: async (connection, context) => {
        await run('close', connection, [], context);
        return Empty.create();
      },
    }),
    service(MonitorConnectionDefinition, {
      monitorConnections: (selector, context) => {
        const statesOnly = context.header(EVENTS_HEADER) === STATES_ONLY;
        const matches = visibleTo(context.peer, selects(selector), policies, now());
        return connections.watch({ matches, statesOnly }, context.signal);
      },
    }),
  ];
}

/** What a watcher is shown of what it asks for. @throws NsmError permission-denied */
function visibleTo(
  peer: Peer | undefined,
  matches: (connection: Connection) => boolean,
  policies: Policies,
  now: number,
): (connection: Connection) => boolean {
  if (!peer) return matches;
  policies.check({ op: 'monitor', peer, tokens: [], index: 0, now });
  return (connection) =>
    matches(connection) &&
    policies.sees(
      peer.spiffeId,
      pathOf(connection).pathSegments.map(({ token }) => token),
    );
}
