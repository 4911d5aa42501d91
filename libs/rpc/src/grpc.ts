import { ServerInterceptingCall, type Channel, type ServerInterceptor } from '@grpc/grpc-js';
import {
  createClient,
  createServer,
  Metadata,
  type CallContext,
  type CallOptions as GrpcCallOptions,
  type ServiceDefinition as GrpcDefinition,
  type ServiceImplementation,
  type Server,
} from 'nice-grpc';
import { BEAT, BEAT_HEADER, listenForBeats, withBeats } from './beat.ts';
import { grpcDefinition, Malformed } from './definition.ts';
import { NsmError } from './error.ts';
import { createGate, type Gate, type GateOptions } from './gate.ts';
import type { IdentitySource } from './identity.ts';
import { serverOptions } from './limits.ts';
import { createWays, type Line, type Ways } from './lines.ts';
import { reflection, reflectionDefinitions } from './reflection.ts';
import { fromStatus, toStatus } from './status.ts';
import { connected } from './tls-client.ts';
import { secureServer, type SecureServer } from './tls-server.ts';
import type {
  CallOptions,
  Client,
  Handler,
  Listener,
  ServerContext,
  Service,
  ServiceDefinition,
  Transport,
} from './transport.ts';
import { prepareSocket, targetOf } from './url.ts';

/** The gRPC library hides a call's deadline and connection from handlers; an interceptor puts them here. */
const DEADLINE = 'nsm-internal-deadline';
const CONNECTION = 'nsm-internal-connection';
const TIMEOUT = 'grpc-timeout';

/** How long a connection over TCP may take, in ms: a machine that has vanished answers nothing. */
const CONNECT_MS = 900;

/**
 * The real transport: gRPC over TCP and unix sockets. With an identity both ends prove theirs on every connection (contract
 * 2.7); without one nobody is authenticated.
 */
export function createGrpcTransport(
  identity?: IdentitySource,
  options: GateOptions = {},
): Transport {
  const gate = createGate(options);
  const ways = createWays(identity);
  const clients = new Map<string, unknown>();
  return {
    serve: (url, hop, services, { mode } = {}) =>
      serve(
        url,
        hop,
        services.map((each) => gate.guard(each)),
        { identity, gate, mode },
      ),
    client: <D extends ServiceDefinition>(definition: D, url: string): Client<D> => {
      const key = `${definition.fullName} ${url}`;
      const known = clients.get(key) ?? makeClient(definition, url, ways);
      clients.set(key, known);
      return known as Client<D>;
    },
    close: () => {
      ways.close();
      clients.clear();
    },
  };
}

async function serve(
  url: string,
  hop: string,
  services: readonly Service[],
  {
    identity,
    gate,
    mode,
  }: { identity: IdentitySource | undefined; gate: Gate; mode: number | undefined },
): Promise<Listener> {
  const secure = identity && (await secureServer(identity, gate.limits.halfOpenMs));
  // Channelz stays on: without it the library forgets the sessions it has to cut when it is shut down.
  const server = createServer({
    ...serverOptions(gate.limits),
    interceptors: [gate.interceptor, exposeCall(secure)],
  });
  for (const { definition, handlers } of services) {
    const implementation = Object.entries(definition.methods).map(([key, method]) => {
      const handler = handlers[key];
      if (handler === undefined)
        throw new Error(`${definition.fullName} has no handler for ${key}`);
      const serving = { handler, hop, secure };
      return [key, method.responseStream ? streaming(serving) : unary(serving)];
    });
    server.add(
      grpcDefinition(definition),
      Object.fromEntries(implementation) as ServiceImplementation<GrpcDefinition>,
    );
  }
  const names = services.map(({ definition }) => definition.fullName);
  for (const version of reflectionDefinitions)
    server.add(version, reflection(names) as unknown as ServiceImplementation<GrpcDefinition>);
  const listening = await prepareSocket(url, mode);
  const port = await server.listen(targetOf(url), secure?.credentials);
  const bound = await listening.bound(port);
  return {
    url: bound,
    close: async (graceMs) => {
      secure?.close();
      await closeServer(server, graceMs);
    },
  };
}

async function closeServer(server: Server, graceMs = 1_000): Promise<void> {
  const timer = setTimeout(() => server.forceShutdown(), graceMs);
  await server.shutdown();
  clearTimeout(timer);
}

const exposeCall =
  (secure: SecureServer | undefined): ServerInterceptor =>
  (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, done) => {
            const deadline = Number(call.getDeadline());
            metadata.remove(DEADLINE);
            metadata.remove(CONNECTION);
            if (Number.isFinite(deadline)) metadata.set(DEADLINE, String(deadline));
            if (secure) metadata.set(CONNECTION, secure.connectionOf(call));
            done(metadata);
          },
        }),
    });

/** A handler and what it is served with. */
interface Serving {
  readonly handler: Handler;
  readonly hop: string;
  readonly secure: SecureServer | undefined;
}

/** @throws NsmError unauthenticated */
function contextOf(context: CallContext, secure: SecureServer | undefined): ServerContext {
  const deadline = context.metadata.get(DEADLINE);
  return {
    signal: context.signal,
    deadline: deadline === undefined ? undefined : Number(deadline),
    peer: secure?.peer(context.metadata.get(CONNECTION) ?? ''),
    header: (name) => context.metadata.getAll(name).at(-1)?.toString(),
    reply: (name, value) => {
      context.header.set(name, value);
    },
  };
}

function decoded(request: unknown): unknown {
  if (request instanceof Malformed)
    throw new NsmError(
      'invalid-argument',
      `the request is not a valid protobuf message: ${request.reason}`,
    );
  return request;
}

const unary =
  ({ handler, hop, secure }: Serving) =>
  async (request: unknown, context: CallContext) => {
    try {
      return await (handler(decoded(request), contextOf(context, secure)) as Promise<unknown>);
    } catch (err) {
      throw toStatus(err, hop, context.trailer);
    }
  };

const streaming = ({ handler, hop, secure }: Serving) =>
  async function* (request: unknown, context: CallContext): AsyncGenerator {
    try {
      const messages = handler(decoded(request), contextOf(context, secure));
      const beats = context.metadata.get(BEAT_HEADER) !== undefined;
      if (beats) {
        context.header.set(BEAT_HEADER, '1');
        context.sendHeader();
      }
      yield* beats
        ? withBeats(messages as AsyncIterable<unknown>)
        : (messages as AsyncIterable<unknown>);
    } catch (err) {
      if (context.signal.aborted) return;
      throw toStatus(err, hop, context.trailer);
    }
  };

type RawMethod = (
  request: unknown,
  options: GrpcCallOptions,
) => Promise<unknown> | AsyncIterable<unknown>;

/** A method of a service on the line of this moment. */
type Dial = (signal: AbortSignal | undefined) => Promise<{ call: RawMethod; line: Line }>;

/** How to call a method at a URL. */
interface Route {
  readonly url: string;
  readonly ways: Ways;
  readonly dial: Dial;
}

function makeClient(definition: ServiceDefinition, url: string, ways: Ways): unknown {
  const raw = new WeakMap<Channel, Record<string, RawMethod>>();
  const dial =
    (key: string): Dial =>
    async (signal) => {
      const line = await ways.to(url, signal);
      const methods =
        raw.get(line.channel) ?? createClient(grpcDefinition(definition), line.channel);
      raw.set(line.channel, methods);
      const call = methods[key];
      if (call === undefined) throw new Error(`${definition.fullName} has no method ${key}`);
      return { call, line };
    };
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const route = { url, ways, dial: dial(key) };
    return [key, method.responseStream ? streamingCall(route) : unaryCall(route)];
  });
  return Object.fromEntries(methods);
}

/** A socket tells of the end of its process; a machine that vanishes tells nothing. */
const isRemote = (url: string): boolean => !url.startsWith('unix:');

/** Calls on one line with the headers that are meant for who answers there; on another one where it was replaced meanwhile. */
async function start(
  { url, ways, dial }: Route,
  request: unknown,
  options: CallOptions,
  { grpc, metadata }: ReturnType<typeof outgoing>,
): Promise<{ result: Promise<unknown> | AsyncIterable<unknown> }> {
  const { headers } = options;
  // eslint-disable-next-line no-restricted-properties -- the transport is where limits meet the real clock
  const until = Date.now() + CONNECT_MS;
  for (;;) {
    const { call, line } = await dial(grpc.signal);
    if (isRemote(url)) {
      if (options.keepalive !== true && ways.isLost(url))
        throw new NsmError('unavailable', `${url} was lost a moment ago`);
      const reached = await connected(line.channel, grpc.signal, until);
      if (reached === 'late') ways.lose(url, `took no connection within ${CONNECT_MS} ms`);
      else ways.found(url);
    }
    if (typeof headers === 'function') {
      const made = await headers(await line.peer(grpc.signal));
      if (line.retired) continue;
      for (const [name, value] of Object.entries(made)) metadata.set(name, value);
    }
    return { result: call(request, grpc) };
  }
}

/** Translates the options of a call; `trailer` is filled when the call has ended. */
function outgoing(
  options: CallOptions,
  loss: AbortSignal | undefined,
): {
  grpc: GrpcCallOptions;
  metadata: Metadata;
  trailer: { metadata?: Metadata };
  timeout: AbortSignal | undefined;
} {
  const { headers } = options;
  const metadata = Metadata(typeof headers === 'function' ? undefined : headers);
  const trailer: { metadata?: Metadata } = {};
  const signals = [options.signal, loss].filter((signal) => signal !== undefined);
  let timeout: AbortSignal | undefined;
  if (options.deadline !== undefined) {
    // eslint-disable-next-line no-restricted-properties -- the transport is where deadlines meet the real clock
    const left = Math.max(1, Math.ceil(options.deadline - Date.now()));
    metadata.set(TIMEOUT, `${Math.min(left, 99_999_999)}m`);
    timeout = AbortSignal.timeout(left);
    signals.push(timeout);
  }
  const [only] = signals;
  const signal = signals.length > 1 ? AbortSignal.any(signals) : only;
  const { onHeaders } = options;
  const grpc: GrpcCallOptions = {
    metadata,
    ...(signal && { signal }),
    ...(onHeaders && {
      onHeader: (header: Metadata) => onHeaders((name) => header.getAll(name).at(-1)?.toString()),
    }),
    onTrailer: (received) => (trailer.metadata = received),
  };
  return { grpc, metadata, trailer, timeout };
}

function failure(
  err: unknown,
  url: string,
  call: ReturnType<typeof outgoing>,
  { signal, loss }: { signal: AbortSignal | undefined; loss: AbortSignal | undefined },
): NsmError {
  if (loss?.aborted && !signal?.aborted) return NsmError.from(loss.reason);
  if (call.timeout?.aborted && !signal?.aborted)
    return new NsmError('deadline', `no answer from ${url} within the time limit`, { cause: err });
  return fromStatus(err, call.trailer.metadata, url);
}

const unaryCall =
  (route: Route) =>
  async (request: unknown, options: CallOptions = {}) => {
    const loss = isRemote(route.url) ? route.ways.loss(route.url) : undefined;
    const prepared = outgoing(options, loss);
    try {
      const { result } = await start(route, request, options, prepared);
      return await (result as Promise<unknown>);
    } catch (err) {
      throw failure(err, route.url, prepared, { signal: options.signal, loss });
    }
  };

const streamingCall = (route: Route) =>
  async function* (request: unknown, options: CallOptions = {}): AsyncGenerator {
    const { url, ways } = route;
    const loss = isRemote(url) ? ways.loss(url) : undefined;
    const prepared = outgoing(options, loss);
    const beats = listenForBeats(() => ways.lose(url, 'has fallen silent'));
    if (loss && options.keepalive === true) {
      prepared.metadata.set(BEAT_HEADER, '1');
      prepared.grpc.onHeader = (header) => {
        if (header.has(BEAT_HEADER)) beats.expect();
      };
    }
    try {
      const { result } = await start(route, request, options, prepared);
      for await (const message of result as AsyncIterable<unknown>) {
        beats.heard();
        if (message !== BEAT) yield message;
      }
    } catch (err) {
      throw failure(err, url, prepared, { signal: options.signal, loss });
    } finally {
      beats.stop();
    }
  };
