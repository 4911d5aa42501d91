import { Timestamp } from '@nsm/proto';
import type { Token } from './token.ts';

const TOKEN = 'nsm-client-token';
const EXPIRES = 'nsm-client-token-expires';

/** Longest date a timestamp may carry: 9999-12-31 (google/protobuf/timestamp.proto). */
const MAX_SECONDS = 253_402_300_799;

/** The request headers that carry a caller's token (contract 2.8). */
export const tokenHeaders = ({ token, expires }: Token): Record<string, string> => ({
  [TOKEN]: token,
  [EXPIRES]: rfc3339(expires),
});

/** The caller's token from its request headers; undefined where either header is missing or the time does not parse. */
export function tokenFrom(header: (name: string) => string | undefined): Token | undefined {
  const token = header(TOKEN);
  const expires = fromRfc3339(header(EXPIRES) ?? '');
  return token !== undefined && token !== '' && expires ? { token, expires } : undefined;
}

function rfc3339({ seconds, nanos }: Timestamp): string {
  const fraction = nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return new Date(seconds * 1_000).toISOString().replace('.000Z', `${fraction}Z`);
}

function fromRfc3339(text: string): Timestamp | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (!parts) return undefined;
  const [, time = '', fraction = '', zone = ''] = parts;
  const seconds = Date.parse(`${time}${zone}`) / 1_000;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > MAX_SECONDS) return undefined;
  return Timestamp.create({ seconds, nanos: Number(fraction.padEnd(9, '0')) });
}

/** A timestamp in ms since 1970; contract 2.5: a missing one counts as 1970. */
export const millis = (at: Timestamp | undefined): number =>
  at ? at.seconds * 1_000 + at.nanos / 1e6 : 0;
