import { describe, expect, test } from '@jest/globals';
import { chain, Scope, untraced } from '@nsm/chain';
import { createFakeClock, elementLaws } from '@nsm/chain/testing';
import { NetworkServiceEndpoint } from '@nsm/proto';
import { answer, type RegistryCall } from '../call.ts';
import { begin, createRegistrations } from '../registrations.ts';
import { emptyPath } from '../registry-path.ts';
import { toTimestamp } from '../timestamp.ts';
import { expire, expiryOf } from './expire.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
type Call = RegistryCall<NetworkServiceEndpoint>;

const callOf = (fields: Partial<Call>): Call => ({
  op: 'register',
  entry: NetworkServiceEndpoint.create({ name: 'nse' }),
  path: emptyPath,
  token: undefined,
  own: undefined,
  deadline: undefined,
  scope: new Scope(),
  signal: new AbortController().signal,
  trace: untraced,
  ...fields,
});

elementLaws('expire', () => {
  let clock = createFakeClock(NOW);
  return {
    element: () => {
      clock = createFakeClock(NOW); // the timers of a process end with it
      return expire({ registrations: createRegistrations(), clock, periodMs: MINUTE });
    },
    call: callOf,
    answer: ({ entry, path }) => ({ entry, path }),
    state: () => clock.pending,
  };
});

const world = (stopping?: AbortSignal) => {
  const clock = createFakeClock(NOW);
  const registrations = createRegistrations<NetworkServiceEndpoint>();
  const ended: string[] = [];
  const element = chain(
    begin(registrations),
    expire({
      registrations,
      clock,
      periodMs: MINUTE,
      stopping,
      onExpired: (name) => ended.push(name),
    }),
  );
  const register = async (fields: Partial<Call> = {}) =>
    (await element.run(callOf(fields), answer)).entry.expirationTime;
  return { clock, registrations, ended, element, register };
};
const token = (ms: number) => ({ token: '', expires: toTimestamp(ms) });

describe('the expiration time', () => {
  test('is the first end of a token, or of the period', async () => {
    const { register } = world();
    expect(await register()).toEqual(toTimestamp(NOW + MINUTE));
    expect(await register({ token: token(NOW + 5_000) })).toEqual(toTimestamp(NOW + 5_000));
    expect(await register({ own: token(NOW + 3_000), token: token(NOW + 5_000) })).toEqual(
      toTimestamp(NOW + 3_000),
    );
  });

  test('stays where the caller asked for less, and not where it asked for more', async () => {
    const { register } = world();
    const asking = (ms: number) => ({
      entry: NetworkServiceEndpoint.create({ name: 'nse', expirationTime: toTimestamp(ms) }),
    });
    expect(await register(asking(NOW + 10_000))).toEqual(toTimestamp(NOW + 10_000));
    expect(await register(asking(NOW + 90_000))).toEqual(toTimestamp(NOW + MINUTE));
  });
});

describe('an endpoint', () => {
  test('ends before its time by what its caller had to wait', async () => {
    const { clock, ended, register } = world();
    await register({ deadline: NOW + 5_000 });
    await clock.advance(MINUTE - 5_001);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual(['nse']);
  });

  test('whose caller waits for long still has time for its refresh, and for a late one', async () => {
    const { clock, ended, register } = world();
    await register({ deadline: NOW + 2 * MINUTE });
    await clock.advance((MINUTE * 5) / 6);
    expect(ended).toEqual([]);
    await clock.advance(MINUTE / 6);
    expect(ended).toEqual(['nse']);
  });

  test('that was unregistered and registered anew does not end by its first timer', async () => {
    const { clock, registrations, ended, element, register } = world();
    await register();
    await clock.advance(50_000);
    await element.run(callOf({ op: 'unregister' }), answer);
    await register();
    await clock.advance(50_000);
    expect(ended).toEqual([]);
    expect(registrations.names()).toEqual(['nse']);
  });

  test('of an answer that ends earlier ends with that', async () => {
    const { clock, ended, element } = world();
    await element.run(callOf({}), async ({ entry, path }) => ({
      entry: { ...entry, expirationTime: toTimestamp(NOW + 5_000) },
      path,
    }));
    await clock.advance(5_000);
    expect(ended).toEqual(['nse']);
  });

  test('outlives the process that stops', async () => {
    const stopping = new AbortController();
    const { clock, ended, registrations, register } = world(stopping.signal);
    await register();
    stopping.abort();
    await clock.advance(MINUTE);
    expect(ended).toEqual([]);
    expect(registrations.names()).toEqual(['nse']);
    await registrations.visit('nse', async (scope) => {
      expect(expiryOf(scope)).toBe(NOW + MINUTE);
    });
  });
});
