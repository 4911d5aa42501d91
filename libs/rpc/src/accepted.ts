import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { NsmError } from './error.ts';

/** What a server knows of a connection that it has accepted. */
export interface Accepted {
  /** What has come: a socket, or a stream of ours over one. */
  readonly stream: Duplex;
  /** Set: it is one too many, and its calls are refused with this. */
  refusal: NsmError | undefined;
  /** Calls that are under way. */
  calls: number;
  /** When the last one ended, in ms of `performance.now`. */
  restingSince: number;
  /** How many were taken back before their message had come, less those that time has made good, and when that was reckoned. */
  readonly takenBack: { count: number; at: number };
}

const KNOWN = Symbol('accepted');
interface Marked {
  [KNOWN]?: Accepted;
  /** What Node shows of the stream below a socket of its own. */
  readonly stream?: Marked;
}

/** Makes it known to the calls that come through a socket. */
export const mark = (socket: Duplex, accepted: Accepted): void => {
  (socket as Marked)[KNOWN] = accepted;
};

/** What the library makes of a call, and interceptors wrap. */
interface LibraryCall {
  readonly stream?: ServerHttp2Stream;
  readonly nextCall?: LibraryCall;
}

/** The HTTP/2 stream of a call: the library tells a handler nothing of it, but its call holds it. */
export function streamOf(surface: object): ServerHttp2Stream | undefined {
  let { call } = surface as { call?: LibraryCall };
  while (call?.nextCall) call = call.nextCall;
  return call?.stream;
}

/** The connection of a call; undefined: it has ended. */
export const sessionOf = (surface: object): ServerHttp2Session | undefined =>
  streamOf(surface)?.session as ServerHttp2Session | undefined;

/** What is known of a connection; undefined where it has ended. */
export function acceptedOf(session: ServerHttp2Session): Accepted | undefined {
  if (session.destroyed) return undefined;
  const socket = session.socket as Marked;
  return socket[KNOWN] ?? socket.stream?.[KNOWN];
}
