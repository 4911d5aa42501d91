import {
  Metadata,
  Server,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerDuplexStream,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { constants } from 'node:http2';
import type { CallContext } from 'nice-grpc';
import { streamOf } from './accepted.ts';
import { BEAT_HEADER, withBeats } from './beat.ts';
import { grpcDefinition, Malformed } from './definition.ts';
import { NsmError } from './error.ts';
import type { Gate } from './gate.ts';
import type { IdentitySource } from './identity.ts';
import { serverOptions, spread } from './limits.ts';
import { listen } from './listen.ts';
import { reflection, reflectionDefinitions } from './reflection.ts';
import { toStatus } from './status.ts';
import { secureServer, type SecureServer } from './tls-server.ts';
import type { Handler, Listener, ServerContext, Service } from './transport.ts';
import { takingTurns } from './turns.ts';
import { descriptorsOf } from './unix-stream.ts';

/** Messages of streams that are sent in one turn of the event loop; each takes some 50 µs. */
const STREAMED_PER_TURN = 32;

const turn = takingTurns(STREAMED_PER_TURN);

/** Serves over gRPC; with an identity only to those who prove theirs. */
export async function serve(
  url: string,
  hop: string,
  services: readonly Service[],
  {
    identity,
    gate,
    mode,
  }: { identity: IdentitySource | undefined; gate: Gate; mode: number | undefined },
): Promise<Listener> {
  const secure = identity && (await secureServer(identity, gate));
  // Channelz stays on: without it the library forgets the sessions it has to cut when it is shut down.
  const server = new Server({
    ...serverOptions(gate.limits),
    interceptors: [gate.interceptor],
  });
  for (const { definition, handlers } of services) {
    const implementation = Object.entries(definition.methods).map(([key, method]) => {
      const handler = handlers[key];
      if (handler === undefined)
        throw new Error(`${definition.fullName} has no handler for ${key}`);
      const serving = { handler, hop, secure, gate };
      return [key, method.responseStream ? streaming(serving) : unary(serving)];
    });
    server.addService(
      grpcDefinition(definition),
      Object.fromEntries(implementation) as UntypedServiceImplementation,
    );
  }
  const names = services.map(({ definition }) => definition.fullName);
  for (const version of reflectionDefinitions)
    server.addService(version, { serverReflectionInfo: reflecting(names) });
  const listening = await listen(server, url, { secure, gate, mode });
  return {
    url: listening.url,
    close: async (graceMs = 1_000) => {
      secure?.close();
      const timer = setTimeout(() => {
        server.forceShutdown();
        listening.cut();
      }, graceMs);
      const idle = new Promise((resolve) => {
        server.tryShutdown(resolve);
      });
      await Promise.all([idle, listening.close()]);
      clearTimeout(timer);
    },
  };
}

/** A handler and what it is served with. */
interface Serving {
  readonly handler: Handler;
  readonly hop: string;
  readonly secure: SecureServer | undefined;
  readonly gate: Gate;
}

type Call =
  Parameters<handleUnaryCall<unknown, unknown>>[0] | ServerWritableStream<unknown, unknown>;

/** A call as its handler sees it. @throws NsmError unauthenticated */
function contextOf(
  call: Call,
  { secure }: Serving,
): { context: ServerContext; sendHeader: () => void; done: () => void } {
  const giveUp = new AbortController();
  const cancelled = (): void => giveUp.abort();
  if (call.cancelled) cancelled();
  else call.once('cancelled', cancelled);
  const deadline = Number(call.getDeadline());
  let header: Metadata | undefined;
  const context: ServerContext = {
    signal: giveUp.signal,
    deadline: Number.isFinite(deadline) ? deadline : undefined,
    peer: secure?.peer(call),
    descriptors: descriptorsOf(call),
    header: (name) => call.metadata.get(name).at(-1)?.toString(),
    reply: (name, value) => {
      header ??= new Metadata();
      header.set(name, value);
    },
  };
  return {
    context,
    sendHeader: () => {
      if (header) call.sendMetadata(header);
      header = undefined;
    },
    done: () => void call.off('cancelled', cancelled),
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
  (serving: Serving): handleUnaryCall<unknown, unknown> =>
  (call, callback) => {
    const answer = async (): Promise<unknown> => {
      const { context, sendHeader, done } = contextOf(call, serving);
      try {
        return await (serving.handler(decoded(call.request), context) as Promise<unknown>);
      } finally {
        done();
        sendHeader();
      }
    };
    answer().then(
      (response) => callback(null, response),
      (err: unknown) => callback(toStatus(err, serving.hop)),
    );
  };

const streaming =
  (serving: Serving): handleServerStreamingCall<unknown, unknown> =>
  (call) => {
    const answer = async (): Promise<void> => {
      const { context, sendHeader, done } = contextOf(call, serving);
      const { signal } = context;
      try {
        const responses = serving.handler(decoded(call.request), context) as AsyncIterable<unknown>;
        const beats = context.header(BEAT_HEADER) !== undefined;
        if (beats) {
          context.reply(BEAT_HEADER, '1');
          sendHeader();
        }
        for await (const response of beats ? withBeats(responses) : responses) {
          sendHeader();
          await turn();
          if (!call.write(response)) await taken(call, context, serving.gate);
        }
      } catch (err) {
        if (!signal.aborted) throw err;
      } finally {
        done();
        sendHeader();
      }
    };
    answer().then(
      () => call.end(),
      (err: unknown) => call.emit('error', toStatus(err, serving.hop)),
    );
  };

/** Waits until the reader has taken what was written. One that takes nothing would hold it for ever: its stream is reset. */
async function taken(
  call: ServerWritableStream<unknown, unknown>,
  { signal, peer }: ServerContext,
  { limits, onLimit }: Gate,
): Promise<void> {
  const timer = setTimeout(() => {
    onLimit('unread', peer?.spiffeId);
    // RESOURCE_EXHAUSTED to gRPC; a status would have to wait behind what is not read.
    streamOf(call)?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }, spread(limits.unreadMs));
  try {
    await once(call, 'drain', { signal });
  } finally {
    clearTimeout(timer);
  }
}

const reflecting =
  (names: readonly string[]) => (call: ServerDuplexStream<Uint8Array, Uint8Array>) => {
    const answer = async (): Promise<void> => {
      const context = { signal: new AbortController().signal } as CallContext;
      for await (const response of reflection(names).serverReflectionInfo(call, context))
        call.write(response);
    };
    answer().then(
      () => call.end(),
      (err: unknown) => call.emit('error', toStatus(err, 'reflection')),
    );
  };
