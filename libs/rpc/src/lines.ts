import { Channel, ChannelCredentials } from '@grpc/grpc-js';
import { NsmError } from './error.ts';
import type { IdentitySource, Peer } from './identity.ts';
import { createSecureChannels } from './tls-client.ts';
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
  /** Another one has taken its place. */
  readonly retired: boolean;
}

type LineTo = (url: string, signal: AbortSignal | undefined) => Promise<Line>;

interface Lines {
  readonly to: LineTo;
  /** The next line to a URL makes its connection anew. */
  drop(url: string): void;
  close(): void;
}

/** Lines, and what becomes of them. */
export interface Ways {
  readonly to: LineTo;
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
  const lines = identity ? secureLines(identity) : openLines();
  const losses = new Map<string, AbortController>();
  /** When, in ms of `performance.now`. */
  const lost = new Map<string, number>();
  return {
    to: lines.to,
    loss: (url) => {
      const loss = losses.get(url) ?? new AbortController();
      losses.set(url, loss);
      return loss.signal;
    },
    lose: (url, reason) => {
      losses.get(url)?.abort(new NsmError('unavailable', `${url} ${reason}`));
      losses.delete(url);
      lost.set(url, performance.now());
      lines.drop(url);
    },
    isLost: (url) => performance.now() - (lost.get(url) ?? -Infinity) < LOST_MS,
    found: (url) => void lost.delete(url),
    close: () => lines.close(),
  };
}

function secureLines(identity: IdentitySource): Lines {
  const channels = createSecureChannels(identity, channelOptions);
  return {
    to: (url, signal) => channels.get(targetOf(url), signal),
    drop: (url) => channels.drop(targetOf(url)),
    close: () => channels.close(),
  };
}

function openLines(): Lines {
  const lines = new Map<string, Line & { retired: boolean }>();
  const peer = async (): Promise<undefined> => undefined;
  return {
    to: async (url) => {
      const line = lines.get(url) ?? {
        channel: new Channel(targetOf(url), ChannelCredentials.createInsecure(), channelOptions),
        peer,
        retired: false,
      };
      lines.set(url, line);
      return line;
    },
    drop: (url) => {
      const dropped = lines.get(url);
      if (!dropped) return;
      lines.delete(url);
      dropped.retired = true;
      dropped.channel.close();
    },
    close: () => {
      for (const { channel } of lines.values()) channel.close();
      lines.clear();
    },
  };
}
