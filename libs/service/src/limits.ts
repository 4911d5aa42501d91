import { defaultLimits, type LimitName, limitNames, type Limits } from '@nsm/rpc';
import type { Logger } from './log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { duration, integer, type Values } from './settings.ts';

const most = 2 ** 31 - 1;
const whole = (fallback: number, help: string, min = 1) =>
  integer({ fallback: String(fallback), help }, min, most);

/** What a process takes of its peers; docs/security.md explains each. */
export const limitSettings = {
  NSM_MAX_MESSAGE_BYTES: whole(defaultLimits.messageBytes, 'bytes of one message', 4_096),
  NSM_MAX_METADATA_BYTES: whole(
    defaultLimits.metadataBytes,
    'bytes of all headers of one call; 65536 is the end of it in any case',
    4_096,
  ),
  NSM_MAX_PATH_LENGTH: whole(64, 'segments of a path', 8),
  NSM_MAX_PENDING_PER_IDENTITY: whole(
    defaultLimits.pendingPerIdentity,
    'calls of one identity that wait for an answer',
  ),
  NSM_MAX_STREAMS_PER_IDENTITY: whole(
    defaultLimits.streamsPerIdentity,
    'streams that one identity has open',
  ),
  NSM_MAX_CALLS_PER_CONNECTION: whole(
    defaultLimits.callsPerConnection,
    'calls and streams on one connection',
  ),
  NSM_MAX_TAKEN_BACK: whole(
    defaultLimits.takenBack,
    'calls of one connection that are taken back at once before their message has come',
  ),
  NSM_MAX_CONNECTIONS_PER_IDENTITY: whole(
    defaultLimits.connectionsPerIdentity,
    'connections of one identity',
  ),
  NSM_MAX_HALF_OPEN: whole(
    defaultLimits.halfOpen,
    'TLS handshakes under way on one listener; the oldest is cut for one more',
  ),
  NSM_HALF_OPEN_LIMIT: duration({
    fallback: '10s',
    help: 'how long a TLS handshake may take, and the message of a call',
  }),
  NSM_IDLE_LIMIT: duration({
    fallback: '10m',
    help: 'how long a connection may be without a call',
  }),
  NSM_UNREAD_LIMIT: duration({
    fallback: '30s',
    help: 'how long a stream may wait for its reader',
  }),
};

export const limitsFrom = (config: Values<typeof limitSettings>): Limits => ({
  messageBytes: config.NSM_MAX_MESSAGE_BYTES,
  metadataBytes: config.NSM_MAX_METADATA_BYTES,
  pendingPerIdentity: config.NSM_MAX_PENDING_PER_IDENTITY,
  streamsPerIdentity: config.NSM_MAX_STREAMS_PER_IDENTITY,
  callsPerConnection: config.NSM_MAX_CALLS_PER_CONNECTION,
  takenBack: config.NSM_MAX_TAKEN_BACK,
  connectionsPerIdentity: config.NSM_MAX_CONNECTIONS_PER_IDENTITY,
  halfOpen: config.NSM_MAX_HALF_OPEN,
  halfOpenMs: config.NSM_HALF_OPEN_LIMIT,
  idleMs: config.NSM_IDLE_LIMIT,
  unreadMs: config.NSM_UNREAD_LIMIT,
});

/** The same limit is logged again after this time, in ms. */
const QUIET_MS = 60_000;

/** Counts what was beyond a limit, and logs it with how often since the last time; a greedy peer does not fill the log. */
export function tellLimits(
  log: Logger,
  metrics: Metrics,
  now: () => number,
): (limit: LimitName, peer: string | undefined) => void {
  const last = new Map<LimitName, { at: number; refused: number }>();
  const totals = new Map<LimitName, number>(limitNames.map((limit) => [limit, 0]));
  metrics.read('nsm_limit_refusals_total', () =>
    [...totals].map(([limit, total]) => [{ limit }, total]),
  );
  return (limit, peer) => {
    totals.set(limit, (totals.get(limit) ?? 0) + 1);
    const { at, refused } = last.get(limit) ?? { at: -QUIET_MS, refused: 0 };
    const quiet = now() - at < QUIET_MS;
    last.set(limit, quiet ? { at, refused: refused + 1 } : { at: now(), refused: 0 });
    // Whoever has nothing to say for long does nothing wrong.
    const level = limit === 'idle' ? 'debug' : 'warn';
    if (!quiet) log[level]({ limit, peer, refused: refused + 1 }, 'a limit was reached');
  };
}
