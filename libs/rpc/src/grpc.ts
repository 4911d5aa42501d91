import type { Channel } from '@grpc/grpc-js';
import { createClient, Metadata, type CallOptions as GrpcCallOptions } from 'nice-grpc';
import { BEAT, BEAT_HEADER, listenForBeats } from './beat.ts';
import { CallDescriptors } from './call-descriptors.ts';
import { connected } from './connected.ts';
import { grpcDefinition } from './definition.ts';
import { NsmError } from './error.ts';
import { createGate, type GateOptions } from './gate.ts';
import type { IdentitySource } from './identity.ts';
import { createWays, type Line, type Ways } from './lines.ts';
import { serve } from './server.ts';
import { fromStatus } from './status.ts';
import type { CallOptions, Client, ServiceDefinition, Transport } from './transport.ts';

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
    sockets: ways.sockets,
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
const isRemote = (url: string): boolean => !/^(unix|inode):/.test(url);

/** Calls on one line with the headers that are meant for who answers there; on another one where it was replaced meanwhile. */
async function start(
  { url, ways, dial }: Route,
  request: unknown,
  options: CallOptions,
  { grpc, metadata, descriptors }: ReturnType<typeof outgoing>,
): Promise<{ result: Promise<unknown> | AsyncIterable<unknown> }> {
  const { headers, onConnection } = options;
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
    const made = typeof headers === 'function' ? await headers(await line.peer(grpc.signal)) : {};
    if (line.retired) continue;
    for (const [name, value] of Object.entries(made)) metadata.set(name, value);
    if (onConnection && line.unix) descriptors.follow(line.unix);
    onConnection?.(line.unix && descriptors);
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
  descriptors: CallDescriptors;
  trailer: { metadata?: Metadata };
  timeout: AbortSignal | undefined;
  done(): void;
} {
  const { headers } = options;
  // Who waits for an answer goes on running; the connection of a unix socket does not see to that.
  const awaited = setInterval(() => undefined, 2 ** 30);
  const metadata = Metadata(typeof headers === 'function' ? undefined : headers);
  const descriptors = new CallDescriptors();
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
    onHeader: (header) => {
      descriptors.answered();
      onHeaders?.((name) => header.getAll(name).at(-1)?.toString());
    },
    onTrailer: (received) => {
      trailer.metadata = received;
      clearInterval(awaited);
    },
  };
  const done = (): void => {
    clearInterval(awaited);
    descriptors.answered();
  };
  return { grpc, metadata, descriptors, trailer, timeout, done };
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
    } finally {
      prepared.done();
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
      prepared.done();
    }
  };
