import type { Descriptors } from './descriptors.ts';
import type { Peer } from './identity.ts';
import type { PassedSockets } from './passed-sockets.ts';

/** A protobuf message type as ts-proto generates it. */
interface Codec {
  encode(message: never): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
}

/** A method as ts-proto's generic definitions describe it. */
export interface MethodDefinition {
  readonly name: string;
  readonly requestType: Codec;
  readonly requestStream: boolean;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

/** A service as ts-proto's generic definitions describe it. */
export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

type Decoded<C extends Codec> = ReturnType<C['decode']>;

/** What a handler knows of the call it serves. */
export interface ServerContext {
  /** Aborted when the caller gave up or its deadline passed. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in ms since 1970; undefined: never. */
  readonly deadline: number | undefined;
  /** Who calls; undefined where connections are not authenticated. */
  readonly peer: Peer | undefined;
  /** What goes beside the messages of this connection; undefined where nothing can. */
  readonly descriptors: Descriptors | undefined;
  /** The last value of a request header, by its lower-case name. */
  header(name: string): string | undefined;
  /** Sets an initial header of the response; it is sent before the first message. */
  reply(name: string, value: string): void;
}

type Headers = Readonly<Record<string, string>>;

/** Makes the headers of a call for its server; undefined: it is not authenticated, or there is no connection. */
export type HeadersFor = (server: Peer | undefined) => Promise<Headers>;

/** How a call is made. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** In ms since 1970; told to the other side and kept here. */
  readonly deadline?: number | undefined;
  /** As they are, or made for who answers, once the connection has told. */
  readonly headers?: Headers | HeadersFor | undefined;
  /**
   * Of a stream over TCP: take a server of ours that has not been heard for most of a second for gone. The stream and all calls to the
   * same URL then fail as unavailable, and the next one makes a connection anew. @default false
   */
  readonly keepalive?: boolean | undefined;
  /**
   * Called once when the call is about to be made, to send descriptors ahead of the request and to take those that come with the
   * answer, over whichever connection both go; undefined where connections can carry none.
   */
  readonly onConnection?: ((descriptors: Descriptors | undefined) => void) | undefined;
  /** Called once with the initial headers of the response. */
  readonly onHeaders?: ((header: (name: string) => string | undefined) => void) | undefined;
}

/** The handlers of a service. Only unary and server-streaming methods are spoken here. */
export type Implementation<D extends ServiceDefinition> = {
  readonly [M in keyof D['methods']]: D['methods'][M]['responseStream'] extends true
    ? (
        request: Decoded<D['methods'][M]['requestType']>,
        context: ServerContext,
      ) => AsyncIterable<Decoded<D['methods'][M]['responseType']>>
    : (
        request: Decoded<D['methods'][M]['requestType']>,
        context: ServerContext,
      ) => Promise<Decoded<D['methods'][M]['responseType']>>;
};

/** The calls of a service. Failures are NsmErrors. A stream is ended by leaving its loop or by the signal. */
export type Client<D extends ServiceDefinition> = {
  readonly [M in keyof D['methods']]: D['methods'][M]['responseStream'] extends true
    ? (
        request: Decoded<D['methods'][M]['requestType']>,
        options?: CallOptions,
      ) => AsyncIterable<Decoded<D['methods'][M]['responseType']>>
    : (
        request: Decoded<D['methods'][M]['requestType']>,
        options?: CallOptions,
      ) => Promise<Decoded<D['methods'][M]['responseType']>>;
};

/** A definition with its handlers; made by {@link service}. */
export interface Service {
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, Handler>>;
}

export type Handler = (
  request: unknown,
  context: ServerContext,
) => Promise<unknown> | AsyncIterable<unknown>;

export const service = <D extends ServiceDefinition>(
  definition: D,
  implementation: Implementation<D>,
): Service => ({
  definition,
  handlers: implementation as unknown as Record<string, Handler>,
});

/** How a server listens. */
export interface ListenOptions {
  /** Mode of a unix socket: who may connect. @default 0777 */
  readonly mode?: number;
}

/** A listening server. */
export interface Listener {
  /** Where it listens; a port 0 has become the real one. */
  readonly url: string;
  /** Takes no new calls, waits `graceMs` for those under way (default 1,000), then cuts them. */
  close(graceMs?: number): Promise<void>;
}

/** Makes clients; connections are shared per URL and kept. */
export interface Dialer {
  client<D extends ServiceDefinition>(definition: D, url: string): Client<D>;
  /** Sockets that are dialled by their descriptors. */
  readonly sockets: PassedSockets;
  /** Cuts all connections. */
  close(): void;
}

/** How services meet: over gRPC, or within one process for tests. */
export interface Transport extends Dialer {
  /** Serves on `url` (unix:///path or tcp://host:port). `hop` is the server's name in the errors it sends. */
  serve(
    url: string,
    hop: string,
    services: readonly Service[],
    options?: ListenOptions,
  ): Promise<Listener>;
}
