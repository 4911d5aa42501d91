import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { NsmError } from './error.ts';
import { defaultLimits, type LimitName, type Limits } from './limits.ts';
import type { Handler, ServerContext, Service } from './transport.ts';

/** Bytes that HPACK counts for a header besides its text (RFC 7541, section 4.1). */
const HEADER_BYTES = 32;

export interface GateOptions {
  readonly limits?: Partial<Limits> | undefined;
  /** Told of each call that was refused. `peer`: the SPIFFE id, where it is known. */
  readonly onLimit?: ((limit: LimitName, peer: string | undefined) => void) | undefined;
}

/** Keeps the limits of all servers of a process. */
export interface Gate {
  readonly limits: Limits;
  /** Of a call before its handler: headers and message. */
  readonly interceptor: ServerInterceptor;
  /** The service, with no more calls and streams of one identity at a time than are allowed. */
  guard(service: Service): Service;
}

export function createGate({ limits: given, onLimit }: GateOptions = {}): Gate {
  const limits = { ...defaultLimits, ...given };
  const pending = counted('pending', limits.pendingPerIdentity, onLimit);
  const streams = counted('streams', limits.streamsPerIdentity, onLimit);
  return {
    limits,
    interceptor: intercept(limits, onLimit),
    guard: ({ definition, handlers }) => ({
      definition,
      handlers: Object.fromEntries(
        Object.entries(handlers).map(([key, handler]) => [
          key,
          definition.methods[key]?.responseStream === true
            ? streaming(handler, streams)
            : unary(handler, pending),
        ]),
      ),
    }),
  };
}

/** Counts one more of an identity, and answers how to count one less. @throws NsmError exhausted */
type Enter = (context: ServerContext) => () => void;

const nothing = (): void => undefined;

function counted(limit: LimitName, max: number, onLimit: GateOptions['onLimit']): Enter {
  const counts = new Map<string, number>();
  return ({ peer }) => {
    // Whoever proves no identity has none that could be counted.
    if (!peer) return nothing;
    const { spiffeId } = peer;
    const now = counts.get(spiffeId) ?? 0;
    if (now >= max) {
      onLimit?.(limit, spiffeId);
      throw new NsmError('exhausted', `${spiffeId} has ${now} ${WHAT[limit]} here already`, {
        hint: 'wait until some of them have ended, or raise the limit',
      });
    }
    counts.set(spiffeId, now + 1);
    return () => {
      const left = (counts.get(spiffeId) ?? 1) - 1;
      if (left === 0) counts.delete(spiffeId);
      else counts.set(spiffeId, left);
    };
  };
}

const WHAT: Partial<Record<LimitName, string>> = {
  pending: 'calls that wait for an answer',
  streams: 'open streams',
};

const unary =
  (handler: Handler, enter: Enter): Handler =>
  async (request, context) => {
    const leave = enter(context);
    try {
      return await (handler(request, context) as Promise<unknown>);
    } finally {
      leave();
    }
  };

const streaming = (handler: Handler, enter: Enter): Handler =>
  async function* (request, context) {
    const leave = enter(context);
    try {
      yield* handler(request, context) as AsyncIterable<unknown>;
    } finally {
      leave();
    }
  };

const intercept =
  (limits: Limits, onLimit: GateOptions['onLimit']): ServerInterceptor =>
  (_method, call) => {
    const refuse = (limit: LimitName, details: string): void => {
      onLimit?.(limit, undefined);
      call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details, metadata: new Metadata() });
    };
    // The library refuses a message that is too large by itself.
    const send = call.sendStatus.bind(call);
    call.sendStatus = (sent) => {
      if (sent.code === status.RESOURCE_EXHAUSTED && sent.details.includes('larger than max'))
        onLimit?.('message', undefined);
      send(sent);
    };
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
            }, limits.halfOpenMs).unref();
            done(metadata);
          },
          onReceiveMessage: (message, done) => {
            clearTimeout(waiting);
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

function sizeOf(metadata: Metadata): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toHttp2Headers()))
    for (const value of [values].flat())
      bytes += name.length + String(value ?? '').length + HEADER_BYTES;
  return bytes;
}
