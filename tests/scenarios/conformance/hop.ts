import { randomUUID } from 'node:crypto';
import { EventEmitter, on, once } from 'node:events';
import { insecureTokens, tokenFrom, type TokenSource } from '@nsm/identity';
import type { ConnectionEvent } from '@nsm/proto';
import {
  Connection,
  ConnectionEventType,
  Empty,
  MonitorConnectionDefinition,
  NetworkServiceDefinition,
  type Mechanism,
  type NetworkServiceRequest,
} from '@nsm/proto';
import { service, type ServerContext } from '@nsm/rpc';
import { LIFETIME, type Stage } from './stage.ts';

export const tokensOf = (stage: Stage, name: string): TokenSource =>
  insecureTokens(name, LIFETIME, stage.clock);

/** What a hand-made hop was asked. */
interface HopCall {
  readonly op: 'request' | 'close';
  readonly connection: Connection;
  readonly preferences: readonly Mechanism[];
}

type Answer = (request: NetworkServiceRequest, context: ServerContext) => Promise<Connection>;

/** A hop made by hand: writes down what it is asked, and answers as the contract wants it, or as a test does. */
export interface Hop {
  readonly name: string;
  readonly url: string;
  readonly calls: readonly HopCall[];
  /** The connections of its requests. */
  requests(): Connection[];
  closes(): Connection[];
  /** Resolves once `passes`; asked after each call. */
  until(passes: (calls: readonly HopCall[]) => boolean): Promise<void>;
  /** Answers the requests to come; undefined: as the contract wants it. */
  answers(answer: Answer | undefined): void;
  /** What closes end with from now on. */
  closing(close: () => Promise<void>): void;
  /** Resolves when somebody monitors it. */
  heard(): Promise<void>;
  /** Tells who monitors it of the connection it answered last, changed. */
  tell(type: ConnectionEventType, change?: Parameters<typeof Connection.fromPartial>[0]): void;
  /** As the contract wants it. */
  readonly well: Answer;
  stop(): Promise<void>;
}

export async function startHop(
  stage: Stage,
  name: string,
  url = stage.unix(name),
  behind: readonly string[] = [],
): Promise<Hop> {
  const calls: HopCall[] = [];
  const waiting = new Set<() => void>();
  const events = new EventEmitter().setMaxListeners(0);
  let last: Connection | undefined;
  const note = (call: HopCall): void => {
    calls.push(call);
    for (const wake of waiting) wake();
  };
  const well: Answer = (request, context) => answerWell(stage, [name, ...behind], request, context);
  let answer = well;
  let close = async (): Promise<void> => undefined;
  const stop = await stage.serve(url, name, [
    service(NetworkServiceDefinition, {
      request: async (request, context) => {
        const { connection = Connection.create(), mechanismPreferences: preferences } = request;
        note({ op: 'request', connection, preferences });
        const answered = await answer(request, context);
        last = asOwn(answered);
        return answered;
      },
      close: async (connection) => {
        note({ op: 'close', connection, preferences: [] });
        await close();
        return Empty.create();
      },
    }),
    service(MonitorConnectionDefinition, {
      monitorConnections: async function* (_selector, { signal }) {
        const later = on(events, 'event', { signal });
        events.emit('heard');
        yield eventOf(ConnectionEventType.INITIAL_STATE_TRANSFER, last);
        for await (const [event] of later) yield event as ConnectionEvent;
      },
    }),
  ]);
  const of = (op: HopCall['op']) =>
    calls.filter((call) => call.op === op).map(({ connection }) => connection);
  return {
    name,
    url,
    calls,
    well,
    stop,
    requests: () => of('request'),
    closes: () => of('close'),
    answers: (next = well) => void (answer = next),
    closing: (next) => void (close = next),
    heard: async () => {
      if (events.listenerCount('event') === 0) await once(events, 'heard');
    },
    tell: (type, change = {}) =>
      void events.emit(
        'event',
        eventOf(type, last && Connection.fromPartial({ ...last, ...change })),
      ),
    until: async (passes) => {
      while (!passes(calls)) {
        const { promise, resolve } = Promise.withResolvers<undefined>();
        const wake = (): void => resolve(undefined);
        waiting.add(wake);
        await promise;
        waiting.delete(wake);
      }
    },
  };
}

/** As the hop that answered it knows it. */
function asOwn(answer: Connection): Connection {
  const { index, pathSegments } = answer.path!;
  return { ...answer, id: pathSegments[index + 1]!.id, path: { index: index + 1, pathSegments } };
}

const eventOf = (
  type: ConnectionEventType,
  connection: Connection | undefined,
): ConnectionEvent => ({
  type,
  connections: connection ? { [connection.id]: connection } : {},
});

/** The segments of `names` after the caller's, tokens in all of them, and the mechanism of a leg that ends here. */
async function answerWell(
  stage: Stage,
  names: readonly string[],
  request: NetworkServiceRequest,
  context: ServerContext,
): Promise<Connection> {
  const connection = Connection.fromPartial(request.connection ?? {});
  const { index, pathSegments } = connection.path!;
  const token = tokenFrom((header) => context.header(header));
  if (token) Object.assign(pathSegments[index]!, token);
  for (const [i, name] of names.entries()) {
    const at = index + 1 + i;
    const own = await tokensOf(stage, name).issue(undefined);
    const id = pathSegments[at]?.name === name ? pathSegments[at].id : randomUUID();
    pathSegments[at] = { name, id, metrics: {}, ...own };
  }
  const wanted = connection.mechanism?.type
    ? connection.mechanism
    : request.mechanismPreferences[0];
  return {
    ...connection,
    networkServiceEndpointName: connection.networkServiceEndpointName || names.at(-1)!,
    mechanism: wanted && completed(wanted),
  };
}

const completed = ({ cls, type, parameters }: Mechanism): Mechanism => ({
  cls,
  type,
  parameters:
    type === 'KERNEL'
      ? { name: `p${randomUUID().slice(0, 8)}`, inodeURL: 'inode://1/9', ...parameters }
      : { dst_ip: '10.0.0.9', dst_port: '4789', vni: '77', ...parameters },
});
