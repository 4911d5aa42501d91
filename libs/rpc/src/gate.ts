import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { acceptedOf, streamOf, type Accepted } from './accepted.ts';
import { createConnectionLimits, type ConnectionLimits } from './connection-limits.ts';
import { counted, type Enter } from './counted.ts';
import { NsmError } from './error.ts';
import { defaultLimits, spread, type LimitName, type Limits, type OnLimit } from './limits.ts';
import type { Handler, Service } from './transport.ts';

/** How many calls that were taken back a connection may add each second; as Node has it of its larger number. */
const MADE_GOOD_PER_S = 33;
/** Bytes that HPACK counts for a header besides its text (RFC 7541, section 4.1). */
const HEADER_BYTES = 32;

export interface GateOptions {
  readonly limits?: Partial<Limits> | undefined;
  readonly onLimit?: OnLimit | undefined;
}

/** Keeps the limits of all servers of a process. */
export interface Gate {
  readonly limits: Limits;
  readonly onLimit: OnLimit;
  readonly connections: ConnectionLimits;
  /** Of a call before its handler: headers and message. */
  readonly interceptor: ServerInterceptor;
  /** The service, with no more calls and streams of one identity at a time than are allowed; it tells of limits its handlers keep. */
  guard(service: Service): Service;
}

export function createGate({ limits: given, onLimit = () => undefined }: GateOptions = {}): Gate {
  const limits = { ...defaultLimits, ...given };
  const pending = counted('pending', limits.pendingPerIdentity);
  const streams = counted('streams', limits.streamsPerIdentity);
  return {
    limits,
    onLimit,
    connections: createConnectionLimits(limits, onLimit),
    interceptor: intercept(limits, onLimit),
    guard: ({ definition, handlers }) => ({
      definition,
      handlers: Object.fromEntries(
        Object.entries(handlers).map(([key, handler]) => [
          key,
          definition.methods[key]?.responseStream === true
            ? streaming(handler, streams, onLimit)
            : unary(handler, pending, onLimit),
        ]),
      ),
    }),
  };
}

const tell = (err: unknown, peer: string | undefined, onLimit: OnLimit): void => {
  if (err instanceof NsmError && err.limit) onLimit(err.limit, peer);
};

const unary =
  (handler: Handler, enter: Enter, onLimit: OnLimit): Handler =>
  async (request, context) => {
    // Whoever proves no identity has none that could be counted.
    const peer = context.peer?.spiffeId;
    let leave: (() => void) | undefined;
    try {
      leave = peer === undefined ? undefined : enter(peer);
      return await (handler(request, context) as Promise<unknown>);
    } catch (err) {
      tell(err, peer, onLimit);
      throw err;
    } finally {
      leave?.();
    }
  };

const streaming = (handler: Handler, enter: Enter, onLimit: OnLimit): Handler =>
  async function* (request, context) {
    const peer = context.peer?.spiffeId;
    let leave: (() => void) | undefined;
    try {
      leave = peer === undefined ? undefined : enter(peer);
      yield* handler(request, context) as AsyncIterable<unknown>;
    } catch (err) {
      tell(err, peer, onLimit);
      throw err;
    } finally {
      leave?.();
    }
  };

const intercept =
  (limits: Limits, onLimit: OnLimit): ServerInterceptor =>
  (_method, call) => {
    /** Its message has come, or it is refused before that. */
    let begun = false;
    const refuse = (limit: LimitName, details: string): void => {
      begun = true;
      onLimit(limit, undefined);
      call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details, metadata: new Metadata() });
    };
    // The library refuses a message that is too large by itself.
    const send = call.sendStatus.bind(call);
    call.sendStatus = (sent) => {
      if (sent.code === status.RESOURCE_EXHAUSTED && sent.details.includes('larger than max'))
        onLimit('message', undefined);
      send(sent);
    };
    countCall(call, (connection) => {
      if (!begun) takenBack(connection, limits, onLimit);
    });
    let waiting: NodeJS.Timeout | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, done) => {
            const bytes = sizeOf(metadata);
            if (bytes > limits.metadataBytes) {
              refuse(
                'metadata',
                `the headers have ${bytes} bytes; at most ${limits.metadataBytes} are taken`,
              );
              return;
            }
            waiting = setTimeout(() => {
              refuse('half-open', `no message came within ${limits.halfOpenMs} ms`);
            }, spread(limits.halfOpenMs)).unref();
            done(metadata);
          },
          onReceiveMessage: (message, done) => {
            clearTimeout(waiting);
            begun = true;
            done(message);
          },
          onCancel: () => clearTimeout(waiting),
        }),
      sendStatus: (sent, next) => {
        clearTimeout(waiting);
        next(sent);
      },
    });
  };

/** A connection with a call is not idle. `onEnd` is told of the connection when the call has ended, whichever end has done it. */
function countCall(call: object, onEnd: (connection: Accepted) => void): void {
  const stream = streamOf({ call });
  const session = stream?.session;
  const accepted = session && acceptedOf(session as Parameters<typeof acceptedOf>[0]);
  if (!accepted) return;
  accepted.calls += 1;
  stream.once('close', () => {
    accepted.calls -= 1;
    accepted.restingSince = performance.now();
    onEnd(accepted);
  });
}

/** Cuts a connection that takes back too much of what it has begun to ask: that costs it less than us. */
function takenBack({ takenBack: seen, stream }: Accepted, limits: Limits, onLimit: OnLimit): void {
  const now = performance.now();
  const madeGood = ((now - seen.at) / 1_000) * MADE_GOOD_PER_S;
  Object.assign(seen, { count: Math.max(0, seen.count - madeGood) + 1, at: now });
  if (seen.count <= limits.takenBack || stream.destroyed) return;
  onLimit('taken-back', undefined);
  stream.destroy();
}

function sizeOf(metadata: Metadata): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toHttp2Headers()))
    for (const value of [values].flat())
      bytes += name.length + String(value ?? '').length + HEADER_BYTES;
  return bytes;
}
