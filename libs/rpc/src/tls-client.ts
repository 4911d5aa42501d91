import { createSecureContext } from 'node:tls';
import { Channel, ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { connected } from './connected.ts';
import type { Identity, IdentitySource, Peer } from './identity.ts';
import { chainOf, contextOptions, peerOf } from './tls-peer.ts';
import { OverUnix } from './unix-client.ts';

/** How long a channel of an earlier identity is kept for the calls that are just being made, in ms. */
const RETIRE_MS = 5_000;

/** A channel whose connections are all made with one identity. */
interface SecureChannel {
  readonly channel: Channel;
  /** Who answers; waits for the connection. Undefined where none could be made: the call itself then says why. */
  peer(signal: AbortSignal | undefined): Promise<Peer | undefined>;
  /** What carries descriptors on it, over a unix socket. */
  readonly unix: OverUnix | undefined;
  /** Another identity has taken its place. */
  readonly retired: boolean;
}

/** Channels with mutual TLS, one per target; a new identity gets new ones, and streams of the old ones go on. */
export interface SecureChannels {
  get(target: string, signal: AbortSignal | undefined): Promise<SecureChannel>;
  /** The next one to this target makes its connections anew. */
  drop(target: string): void;
  close(): void;
}

export function createSecureChannels(
  source: IdentitySource,
  options: ChannelOptions,
): SecureChannels {
  let open = new Map<string, SecureChannel & { retired: boolean }>();
  let of: Identity | undefined;
  const follow = (identity: Identity): void => {
    if (of === identity) return;
    of = identity;
    const old = open;
    open = new Map();
    for (const each of old.values()) {
      each.retired = true;
      setTimeout(() => each.channel.close(), RETIRE_MS).unref();
    }
  };
  const unfollow = source.onChange(follow);
  return {
    get: async (target, signal) => {
      const identity = await source.current(signal);
      follow(identity);
      const found = open.get(target) ?? makeChannel(target, identity, options);
      open.set(target, found);
      return found;
    },
    drop: (target) => {
      const dropped = open.get(target);
      if (!dropped) return;
      open.delete(target);
      dropped.retired = true;
      dropped.channel.close();
    },
    close: () => {
      unfollow();
      for (const { channel } of open.values()) channel.close();
      open.clear();
    },
  };
}

function makeChannel(
  target: string,
  identity: Identity,
  options: ChannelOptions,
): SecureChannel & { retired: boolean } {
  /** Who has answered, the last one at the end. */
  const peers: Peer[] = [];
  const secure = ChannelCredentials.createFromSecureContext(
    createSecureContext(contextOptions(identity)),
    {
      // Called for every connection, once TLS has checked the chain.
      checkServerIdentity: (_host, presented) => {
        try {
          const peer = peerOf(chainOf(presented), identity.bundles);
          const at = peers.length;
          peers.push({ ...peer, shown: identity, later: () => peers.slice(at + 1) });
          return undefined;
        } catch (err) {
          return err as Error;
        }
      },
    },
  );
  const unix = target.startsWith('unix:') ? new OverUnix(secure) : undefined;
  const channel = new Channel(target, unix ?? secure, {
    ...options,
    // Only what a server has not begun with is sent again: it may just be changing its certificate.
    'grpc.enable_retries': 1,
    // An address is no name for SNI, and no name is looked at.
    'grpc.ssl_target_name_override': 'nsm',
  });
  return {
    channel,
    unix,
    retired: false,
    peer: async (signal) =>
      (await connected(channel, signal)) === 'ready' ? peers.at(-1) : undefined,
  };
}
