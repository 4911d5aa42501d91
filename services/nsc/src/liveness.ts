import { KERNEL } from '@nsm/connection';
import { parsePrefix, formatAddress } from '@nsm/ip';
import type { Connection } from '@nsm/proto';

/** Whether a wire carries packets, asked from this client's end of it. */
export interface Liveness {
  /** Between two questions, in ms. */
  readonly intervalMs: number;
  alive(connection: Connection, signal: AbortSignal): Promise<boolean>;
}

/** Whether `dst` answers one of some ICMP echoes from `src` within `timeoutMs`. */
export type Ping = (
  ends: { readonly src: string; readonly dst: string },
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<boolean>;

export interface PingLivenessOptions {
  readonly ping: Ping;
  readonly intervalMs: number;
  /** How long a wire may be silent, in ms. */
  readonly timeoutMs: number;
}

/**
 * Every pair of addresses of one family has to answer (contract 3.6). What is no kernel interface, or has no addresses, cannot be
 * asked and counts as alive.
 */
export function pingLiveness({ ping, intervalMs, timeoutMs }: PingLivenessOptions): Liveness {
  // Who stops asking has not found out that it is dead.
  const answers = async (ends: Parameters<Ping>[0], signal: AbortSignal): Promise<boolean> =>
    (await ping(ends, timeoutMs, signal).catch(() => false)) || signal.aborted;
  return {
    intervalMs,
    alive: async (connection, signal) => {
      const all = await Promise.all(pairsOf(connection).map((ends) => answers(ends, signal)));
      return all.every(Boolean);
    },
  };
}

function pairsOf({ mechanism, context }: Connection): Parameters<Ping>[0][] {
  if (mechanism?.type !== KERNEL) return [];
  const { srcIpAddrs = [], dstIpAddrs = [] } = context?.ipContext ?? {};
  const [sources, destinations] = [srcIpAddrs.map(parsePrefix), dstIpAddrs.map(parsePrefix)];
  return sources.flatMap((src) =>
    destinations
      .filter(({ family }) => family === src.family)
      .map((dst) => ({ src: formatAddress(src), dst: formatAddress(dst) })),
  );
}
