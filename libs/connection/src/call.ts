import type { BaseCall, Element, Next } from '@nsm/chain';
import type { Token } from '@nsm/identity';
import type { Connection, Mechanism, NetworkServiceEndpoint } from '@nsm/proto';
import type { Descriptors, Peer } from '@nsm/rpc';

/** Where a request goes next. */
export interface Target {
  /** Name of the endpoint or forwarder that was chosen. */
  readonly name: string;
  /** unix:///path: on this node; tcp://host:port: the manager of another one. */
  readonly url: string;
}

/** A Request or Close on its way through a chain. */
export interface Call extends BaseCall {
  readonly op: 'request' | 'close';
  /** As the hop knows it: `id` and `path.index` are those of its own segment, once update-path has run. */
  readonly connection: Connection;
  /** What the caller can do, best first. */
  readonly preferences: readonly Mechanism[];
  /** Who calls, as its connection proves it; undefined where connections prove nothing. */
  readonly peer?: Peer | undefined;
  /** What goes beside the messages of the caller's connection; undefined where nothing can. */
  readonly descriptors?: Descriptors | undefined;
  /** Takes over a descriptor of a namespace until the call has ended; set by receive-netns. */
  readonly holdNetns?: (url: string, fd: number) => void;
  /** The token that came with the call; undefined: none came. */
  readonly token: Token | undefined;
  /** When the caller stops waiting, in ms since 1970; undefined: never. */
  readonly deadline: number | undefined;
  /** Endpoints to try, in order; set by discovery. */
  readonly candidates?: readonly NetworkServiceEndpoint[];
  /** The next hop; set by a selector. */
  readonly target?: Target;
}

/** A chain element of a connection. It answers the connection as this hop knows it. */
export type ConnectionElement = Element<Call, Connection>;

export type ConnectionNext = Next<Call, Connection>;

/** A copy of the call with its connection changed. */
export const withConnection = (call: Call, change: Partial<Connection>): Call => ({
  ...call,
  connection: { ...call.connection, ...change },
});
