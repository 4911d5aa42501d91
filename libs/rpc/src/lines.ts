import { Channel, ChannelCredentials } from '@grpc/grpc-js';
import { NsmError } from './error.ts';
import type { IdentitySource, Peer } from './identity.ts';
import { createPassedSockets, isPassed, type PassedSockets } from './passed-sockets.ts';
import { createSecureChannels } from './tls-client.ts';
import { OverUnix } from './unix-client.ts';
import { targetOf } from './url.ts';

const channelOptions = {
  // A peer that restarts is back within a moment: find out quickly.
  'grpc.initial_reconnect_backoff_ms': 50,
  // How long one attempt may take; those over TCP are ended sooner.
  'grpc.min_reconnect_backoff_ms': 5_000,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.enable_channelz': 0,
  'grpc.enable_retries': 0,
  // A channel that is made anew shall not get the connection of the old one.
  'grpc.use_local_subchannel_pool': 1,
};

/** A channel to make a call on, and who answers there. */
export interface Line {
  readonly channel: Channel;
  peer(signal: AbortSignal | undefined): Promise<Peer | undefined>;
  /** What carries descriptors on it, over a unix socket. */
  readonly unix: OverUnix | undefined;
  /** Another one has taken its place. */
  readonly retired: boolean;
}

type LineTo = (url: string, signal: AbortSignal | undefined) => Promise<Line>;

/** One per target, as the gRPC library names where it connects to. */
interface Lines {
  get(target: string, signal: AbortSignal | undefined): Promise<Line>;
  /** The next line to a target makes its connection anew. */
  drop(target: string): void;
  close(): void;
}

/** Lines, and what becomes of them. */
export interface Ways {
  readonly to: LineTo;
  readonly sockets: PassedSockets;
  /** Aborted, with the reason, when the line to a URL is lost. */
  loss(url: string): AbortSignal;
  lose(url: string, reason: string): void;
  /** Whether a line was lost a moment ago and nobody has reached the URL since. */
  isLost(url: string): boolean;
  found(url: string): void;
  close(): void;
}

/** How long nobody but who listens for its return waits for a machine that was lost, in ms: there may be another one to ask. */
const LOST_MS = 3_000;

/** With an identity, lines prove it at both ends. */
export function createWays(identity: IdentitySource | undefined): Ways {
  const lines: Lines = identity ? createSecureChannels(identity, channelOptions) : openLines();
  const sockets = createPassedSockets((target) => lines.drop(target));
  const losses = new Map<string, AbortController>();
  /** When, in ms of `performance.now`. */
  const lost = new Map<string, number>();
  return {
    to: async (url, signal) =>
      lines.get(isPassed(url) ? sockets.target(url) : targetOf(url), signal),
    sockets,
    loss: (url) => {
      const loss = losses.get(url) ?? new AbortController();
      losses.set(url, loss);
      return loss.signal;
    },
    lose: (url, reason) => {
      losses.get(url)?.abort(new NsmError('unavailable', `${url} ${reason}`));
      losses.delete(url);
      lost.set(url, performance.now());
      lines.drop(targetOf(url));
    },
    isLost: (url) => performance.now() - (lost.get(url) ?? -Infinity) < LOST_MS,
    found: (url) => void lost.delete(url),
    close: () => lines.close(),
  };
}

function openLines(): Lines {
  const lines = new Map<string, Line & { retired: boolean }>();
  return {
    get: async (target) => {
      const line = lines.get(target) ?? openLine(target);
      lines.set(target, line);
      return line;
    },
    drop: (target) => {
      const dropped = lines.get(target);
      if (!dropped) return;
      lines.delete(target);
      dropped.retired = true;
      dropped.channel.close();
    },
    close: () => {
      for (const { channel } of lines.values()) channel.close();
      lines.clear();
    },
  };
}

function openLine(target: string): Line & { retired: boolean } {
  const open = ChannelCredentials.createInsecure();
  const unix = target.startsWith('unix:') ? new OverUnix(open) : undefined;
  const channel = new Channel(target, unix ?? open, channelOptions);
  return {
    channel,
    unix,
    retired: false,
    peer: async () => undefined,
  };
}
