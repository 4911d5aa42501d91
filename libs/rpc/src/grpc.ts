import {
  Channel,
  ChannelCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js';
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
import { grpcDefinition, Malformed } from './definition.ts';
import { NsmError } from './error.ts';
import { reflection, reflectionDefinitions } from './reflection.ts';
import { fromStatus, toStatus } from './status.ts';
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

/** The gRPC library hides a call's deadline from handlers; an interceptor puts it here. */
const DEADLINE = 'nsm-internal-deadline';
const TIMEOUT = 'grpc-timeout';

/** Room enough for what is too large to be told which field it is; beyond it the message is refused unread. */
const MAX_MESSAGE_BYTES = 8 << 20;

const channelOptions = {
  // A peer that restarts is back within a moment: find out quickly.
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 1_000,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.enable_channelz': 0,
  'grpc.enable_retries': 0,
};

/** The real transport: gRPC over TCP and unix sockets. */
export function createGrpcTransport(): Transport {
  const channels = new Map<string, Channel>();
  const clients = new Map<string, unknown>();
  const channel = (url: string): Channel => {
    let found = channels.get(url);
    if (found === undefined) {
      found = new Channel(targetOf(url), ChannelCredentials.createInsecure(), channelOptions);
      channels.set(url, found);
    }
    return found;
  };
  return {
    serve,
    client: <D extends ServiceDefinition>(definition: D, url: string): Client<D> => {
      const key = `${definition.fullName} ${url}`;
      const known = clients.get(key) ?? makeClient(definition, url, channel(url));
      clients.set(key, known);
      return known as Client<D>;
    },
    close: () => {
      for (const open of channels.values()) open.close();
      channels.clear();
      clients.clear();
    },
  };
}

async function serve(url: string, hop: string, services: readonly Service[]): Promise<Listener> {
  // Channelz stays on: without it the library forgets the sessions it has to cut when it is shut down.
  const server = createServer({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    interceptors: [exposeDeadline],
  });
  for (const { definition, handlers } of services) {
    const implementation = Object.entries(definition.methods).map(([key, method]) => {
      const handler = handlers[key];
      if (handler === undefined)
        throw new Error(`${definition.fullName} has no handler for ${key}`);
      return [key, method.responseStream ? streaming(handler, hop) : unary(handler, hop)];
    });
    server.add(
      grpcDefinition(definition),
      Object.fromEntries(implementation) as ServiceImplementation<GrpcDefinition>,
    );
  }
  const names = services.map(({ definition }) => definition.fullName);
  for (const version of reflectionDefinitions)
    server.add(version, reflection(names) as unknown as ServiceImplementation<GrpcDefinition>);
  const listening = await prepareSocket(url);
  const port = await server.listen(targetOf(url));
  const bound = await listening.bound(port);
  return { url: bound, close: (graceMs) => closeServer(server, graceMs) };
}

async function closeServer(server: Server, graceMs = 1_000): Promise<void> {
  const timer = setTimeout(() => server.forceShutdown(), graceMs);
  await server.shutdown();
  clearTimeout(timer);
}

const exposeDeadline: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, done) => {
          const deadline = Number(call.getDeadline());
          metadata.remove(DEADLINE);
          if (Number.isFinite(deadline)) metadata.set(DEADLINE, String(deadline));
          done(metadata);
        },
      }),
  });

function contextOf(context: CallContext): ServerContext {
  const deadline = context.metadata.get(DEADLINE);
  return {
    signal: context.signal,
    deadline: deadline === undefined ? undefined : Number(deadline),
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

const unary = (handler: Handler, hop: string) => async (request: unknown, context: CallContext) => {
  try {
    return await (handler(decoded(request), contextOf(context)) as Promise<unknown>);
  } catch (err) {
    throw toStatus(err, hop, context.trailer);
  }
};

const streaming = (handler: Handler, hop: string) =>
  async function* (request: unknown, context: CallContext): AsyncGenerator {
    try {
      yield* handler(decoded(request), contextOf(context)) as AsyncIterable<unknown>;
    } catch (err) {
      if (context.signal.aborted) return;
      throw toStatus(err, hop, context.trailer);
    }
  };

type RawMethod = (
  request: unknown,
  options: GrpcCallOptions,
) => Promise<unknown> | AsyncIterable<unknown>;

function makeClient(definition: ServiceDefinition, url: string, channel: Channel): unknown {
  const raw = createClient(grpcDefinition(definition), channel) as unknown as Record<
    string,
    RawMethod
  >;
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const call = raw[key];
    if (call === undefined) throw new Error(`${definition.fullName} has no method ${key}`);
    return [key, method.responseStream ? streamingCall(call, url) : unaryCall(call, url)];
  });
  return Object.fromEntries(methods);
}

/** Translates the options of a call; `trailer` is filled when the call has ended. */
function outgoing(options: CallOptions): {
  grpc: GrpcCallOptions;
  trailer: { metadata?: Metadata };
  timeout: AbortSignal | undefined;
} {
  const metadata = Metadata(options.headers);
  const trailer: { metadata?: Metadata } = {};
  let { signal } = options;
  let timeout: AbortSignal | undefined;
  if (options.deadline !== undefined) {
    // eslint-disable-next-line no-restricted-properties -- the transport is where deadlines meet the real clock
    const left = Math.max(1, Math.ceil(options.deadline - Date.now()));
    metadata.set(TIMEOUT, `${Math.min(left, 99_999_999)}m`);
    timeout = AbortSignal.timeout(left);
    signal = signal ? AbortSignal.any([signal, timeout]) : timeout;
  }
  const { onHeaders } = options;
  const grpc: GrpcCallOptions = {
    metadata,
    ...(signal && { signal }),
    ...(onHeaders && {
      onHeader: (header: Metadata) => onHeaders((name) => header.getAll(name).at(-1)?.toString()),
    }),
    onTrailer: (received) => (trailer.metadata = received),
  };
  return { grpc, trailer, timeout };
}

function failure(
  err: unknown,
  url: string,
  call: ReturnType<typeof outgoing>,
  signal: AbortSignal | undefined,
): NsmError {
  if (call.timeout?.aborted && !signal?.aborted)
    return new NsmError('deadline', `no answer from ${url} within the time limit`, { cause: err });
  return fromStatus(err, call.trailer.metadata, url);
}

const unaryCall =
  (call: RawMethod, url: string) =>
  async (request: unknown, options: CallOptions = {}) => {
    const prepared = outgoing(options);
    try {
      return await (call(request, prepared.grpc) as Promise<unknown>);
    } catch (err) {
      throw failure(err, url, prepared, options.signal);
    }
  };

const streamingCall = (call: RawMethod, url: string) =>
  async function* (request: unknown, options: CallOptions = {}): AsyncGenerator {
    const prepared = outgoing(options);
    try {
      yield* call(request, prepared.grpc) as AsyncIterable<unknown>;
    } catch (err) {
      throw failure(err, url, prepared, options.signal);
    }
  };
