import { expect, test } from '@jest/globals';
import { defaultLimits, limitNames } from '@nsm/rpc';
import { limitSettings, limitsFrom, tellLimits } from './limits.ts';
import type { Logger } from './log.ts';
import { readSettings } from './settings.ts';
import type { Metrics } from './telemetry/metrics.ts';

test('without settings the limits are the defaults of the transport, and each has a setting', () => {
  expect(limitsFrom(readSettings(limitSettings, {}))).toEqual(defaultLimits);
});

test('each limit has a metric from the start, counts in it, and is logged once a minute', () => {
  let now = 0;
  let read = (): unknown => undefined;
  const lines: unknown[] = [];
  const log = {
    warn: (fields: object) => void lines.push(fields),
    debug: () => undefined,
  } as unknown as Logger;
  const metrics = {
    read: (_name: string, readings: () => unknown) => void (read = readings),
  } as unknown as Metrics;
  const tell = tellLimits(log, metrics, () => now);
  expect(read()).toEqual(limitNames.map((limit) => [{ limit }, 0]));
  for (let n = 0; n < 3; n += 1) tell('half-open', undefined);
  now += 60_000;
  tell('half-open', 'spiffe://nsm.test/a');
  tell('idle', undefined);
  expect(lines).toEqual([
    { limit: 'half-open', peer: undefined, refused: 1 },
    { limit: 'half-open', peer: 'spiffe://nsm.test/a', refused: 3 },
  ]);
  expect(read()).toContainEqual([{ limit: 'half-open' }, 4]);
  expect(read()).toContainEqual([{ limit: 'idle' }, 1]);
});
