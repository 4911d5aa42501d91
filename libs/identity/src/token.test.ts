import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { millis, tokenFrom, tokenHeaders } from './headers.ts';
import { insecureTokens, subjectOf } from './token.ts';

const header = (headers: Record<string, string>) => (name: string) => headers[name];

describe('insecure tokens', () => {
  test('name their process and end with their lifetime', async () => {
    const clock = createFakeClock(1_000_000);
    const { token, expires } = await insecureTokens('nsmgr a', 60_000, clock).issue({
      spiffeId: 'spiffe://x/y',
    });
    expect(subjectOf(token)).toBe('spiffe://insecure/nsmgr%20a');
    expect(millis(expires)).toBe(1_060_000);
    const claims = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
    ) as object;
    expect(claims).toEqual({
      sub: 'spiffe://insecure/nsmgr%20a',
      aud: ['spiffe://x/y'],
      exp: 1_060,
    });
  });
});

describe('token headers', () => {
  test.each([
    { seconds: 1_700_000_000, nanos: 0 },
    { seconds: 1_700_000_000, nanos: 123_000_000 },
    { seconds: 1_700_000_000, nanos: 1 },
  ])('carry %j to the nanosecond', (expires) => {
    expect(tokenFrom(header(tokenHeaders({ token: 't', expires })))).toEqual({
      token: 't',
      expires,
    });
  });

  test('of another time zone are understood', () => {
    const got = tokenFrom(
      header({
        'nsm-client-token': 't',
        'nsm-client-token-expires': '2026-01-01T01:00:00.5+01:00',
      }),
    );
    expect(got?.expires).toEqual({
      seconds: Date.parse('2026-01-01T00:00:00Z') / 1_000,
      nanos: 500_000_000,
    });
  });

  test.each(['', 'soon', '2026-13-45T99:00:00Z', '0001-01-01T00:00:00Z', '12026-01-01T00:00:00Z'])(
    'with the time %j count as none',
    (text) => {
      expect(
        tokenFrom(header({ 'nsm-client-token': 't', 'nsm-client-token-expires': text })),
      ).toBeUndefined();
    },
  );
});

test.each(['', 'a', 'a.b.c', 'a.!!.c', `a.${Buffer.from('{"sub":1}').toString('base64url')}.c`])(
  '%j has no subject',
  (token) => {
    expect(subjectOf(token)).toBeUndefined();
  },
);
