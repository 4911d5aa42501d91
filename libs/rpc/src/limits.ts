/** What one process takes of its peers. What is beyond is refused with RESOURCE_EXHAUSTED, or its connection closed. */
export interface Limits {
  /** Bytes of one message. */
  readonly messageBytes: number;
  /** Bytes of all headers of one call; Node's HTTP/2 ends calls with more than 64 KiB itself. */
  readonly metadataBytes: number;
  /** Calls of one identity that are not answered yet. */
  readonly pendingPerIdentity: number;
  /** Streams of answers that one identity has open. */
  readonly streamsPerIdentity: number;
  /** Calls and streams on one connection; a client waits with more. */
  readonly callsPerConnection: number;
  /** Calls of one connection that are taken back at once before their message has come. */
  readonly takenBack: number;
  /** Connections of one identity. */
  readonly connectionsPerIdentity: number;
  /** TLS handshakes that are under way on one listener. */
  readonly halfOpen: number;
  /** How long a TLS handshake may take, and the message of a call after its headers, in ms. */
  readonly halfOpenMs: number;
  /** How long a connection may be without a call before it is closed, in ms. */
  readonly idleMs: number;
  /** How long a stream may wait for its reader to take what was sent, in ms. */
  readonly unreadMs: number;
}

export const defaultLimits: Limits = {
  // Room enough for what is too large to be told which field it is.
  messageBytes: 8 << 20,
  metadataBytes: 32 << 10,
  pendingPerIdentity: 4_096,
  streamsPerIdentity: 1_024,
  callsPerConnection: 1_024,
  takenBack: 100,
  connectionsPerIdentity: 1_024,
  halfOpen: 256,
  halfOpenMs: 10_000,
  idleMs: 600_000,
  unreadMs: 30_000,
};

/** A time limit, moved by up to a quarter: what has come together is not cut together, which would hold up everybody else. */
// eslint-disable-next-line no-restricted-properties -- nobody can tell which they were
export const spread = (ms: number): number => ms * (1 + Math.random() / 4);

/** Which limit was reached. */
export const limitNames = [
  'message',
  'metadata',
  'path',
  'pending',
  'streams',
  'entries',
  'connections',
  'half-open',
  'idle',
  'unread',
  'taken-back',
] as const;
export type LimitName = (typeof limitNames)[number];
/** Told of each time that one was reached. `peer`: the SPIFFE id, where it is known. */
export type OnLimit = (limit: LimitName, peer: string | undefined) => void;

/** The limits that the gRPC library keeps by itself. */
export const serverOptions = ({ messageBytes, callsPerConnection, idleMs }: Limits) => ({
  'grpc.max_receive_message_length': messageBytes,
  'grpc.max_concurrent_streams': callsPerConnection,
  'grpc.max_connection_idle_ms': idleMs,
});
