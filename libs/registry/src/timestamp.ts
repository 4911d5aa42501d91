import type { Timestamp } from '@nsm/proto';

/** ms since 1970 as a protobuf timestamp. */
export const toTimestamp = (ms: number): Timestamp => {
  const seconds = Math.floor(ms / 1_000);
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * 1e6) };
};
