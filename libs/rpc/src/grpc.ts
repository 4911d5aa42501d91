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
import type { IdentitySource, Peer } from './identity.ts';
import { reflection, reflectionDefinitions } from './reflection.ts';
import { fromStatus, toStatus } from './status.ts';
import { createSecureChannels } from './tls-client.ts';
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

/** A channel to make a call on, and who answers there. */
interface Line {
  readonly channel: Channel;
  peer(signal: AbortSignal | undefined): Promise<Peer | undefined>;
  /** Another one has taken its place. */
  readonly retired?: boolean;
}

type LineTo = (url: string, signal: AbortSignal | undefined) => Promise<Line>;

/**
 * The real transport: gRPC over TCP and unix sockets. With an identity both ends prove theirs on every connection (contract
 * 2.7); without one nobody is authenticated.
 */
export function createGrpcTransport(identity?: IdentitySource): Transport {
  const lines = identity ? secureLines(identity) : openLines();
  const clients = new Map<string, unknown>();
  return {
    serve: (url, hop, services) => serve(url, hop, services, identity),
    client: <D extends ServiceDefinition>(definition: D, url: string): Client<D> => {
      const key = `${definition.fullName} ${url}`;
      const known = clients.get(key) ?? makeClient(definition, url, lines.to);
      clients.set(key, known);
      return known as Client<D>;
    },
    close: () => {
      lines.close();
      clients.clear();
    },
  };
}

function secureLines(identity: IdentitySource): { to: LineTo; close: () => void } {
  const channels = createSecureChannels(identity, channelOptions);
  return {
    to: (url, signal) => channels.get(targetOf(url), signal),
    close: () => channels.close(),
  };
}

function openLines(): { to: LineTo; close: () => void } {
  const lines = new Map<string, Line>();
  const peer = async (): Promise<undefined> => undefined;
  return {
    to: async (url) => {
      const line = lines.get(url) ?? {
        channel: new Channel(targetOf(url), ChannelCredentials.createInsecure(), channelOptions),
        peer,
      };
      lines.set(url, line);
      return line;
    },
    close: () => {
      for (const { channel } of lines.values()) channel.close();
      lines.clear();
    },
  };
}

async function serve(
  url: string,
  hop: string,
  services: readonly Service[],
  identity: IdentitySource | undefined,
): Promise<Listener> {
  const secure = identity && (await secureServer(identity));
  // Channelz stays on: without it the library forgets the sessions it has to cut when it is shut down.
  const server = createServer({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    interceptors: [exposeCall(secure)],
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
  const listening = await prepareSocket(url);
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
      yield* handler(decoded(request), contextOf(context, secure)) as AsyncIterable<unknown>;
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

function makeClient(definition: ServiceDefinition, url: string, lineTo: LineTo): unknown {
  const raw = new WeakMap<Channel, Record<string, RawMethod>>();
  const dial =
    (key: string): Dial =>
    async (signal) => {
      const line = await lineTo(url, signal);
      const methods =
        raw.get(line.channel) ?? createClient(grpcDefinition(definition), line.channel);
      raw.set(line.channel, methods);
      const call = methods[key];
      if (call === undefined) throw new Error(`${definition.fullName} has no method ${key}`);
      return { call, line };
    };
  const methods = Object.entries(definition.methods).map(([key, method]) => [
    key,
    method.responseStream ? streamingCall(dial(key), url) : unaryCall(dial(key), url),
  ]);
  return Object.fromEntries(methods);
}

/** Calls on one line with the headers that are meant for who answers there; on another one where it was replaced meanwhile. */
async function start(
  dial: Dial,
  request: unknown,
  options: CallOptions,
  prepared: ReturnType<typeof outgoing>,
): Promise<{ result: Promise<unknown> | AsyncIterable<unknown> }> {
  const { headers } = options;
  for (;;) {
    const { call, line } = await dial(prepared.grpc.signal);
    if (typeof headers === 'function') {
      const made = await headers(await line.peer(prepared.grpc.signal));
      if (line.retired === true) continue;
      for (const [name, value] of Object.entries(made)) prepared.metadata.set(name, value);
    }
    return { result: call(request, prepared.grpc) };
  }
}

/** Translates the options of a call; `trailer` is filled when the call has ended. */
function outgoing(options: CallOptions): {
  grpc: GrpcCallOptions;
  metadata: Metadata;
  trailer: { metadata?: Metadata };
  timeout: AbortSignal | undefined;
} {
  const { headers } = options;
  const metadata = Metadata(typeof headers === 'function' ? undefined : headers);
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
  return { grpc, metadata, trailer, timeout };
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
  (dial: Dial, url: string) =>
  async (request: unknown, options: CallOptions = {}) => {
    const prepared = outgoing(options);
    try {
      const { result } = await start(dial, request, options, prepared);
      return await (result as Promise<unknown>);
    } catch (err) {
      throw failure(err, url, prepared, options.signal);
    }
  };

const streamingCall = (dial: Dial, url: string) =>
  async function* (request: unknown, options: CallOptions = {}): AsyncGenerator {
    const prepared = outgoing(options);
    try {
      const { result } = await start(dial, request, options, prepared);
      yield* result as AsyncIterable<unknown>;
    } catch (err) {
      throw failure(err, url, prepared, options.signal);
    }
  };
