import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Connection, IPContext } from '@nsm/proto';
import { startNse } from './parts.ts';
import {
  callerOf,
  createStage,
  LIFETIME,
  refusal,
  type PartialConnection,
  type Stage,
} from './stage.ts';

/** How long addresses that were given back are given to nobody else, in ms. */
const REST_MS = 60_000;

let stage: Stage;
beforeEach(() => void (stage = createStage()));
afterEach(() => stage.end());

const ipOf = ({ context }: Connection): IPContext => context!.ipContext!;
const to = (prefix: string) => ({ prefix, nextHop: '' });
const excluding = (connection: Connection, excludedPrefixes: string[]): PartialConnection => ({
  ...connection,
  context: { ...connection.context, ipContext: { ...ipOf(connection), excludedPrefixes } },
});

test('73: the first request gets the lowest addresses, and routes to each other', async () => {
  const a = callerOf(stage, await startNse(stage));
  expect(ipOf(await a.request())).toMatchObject({
    dstIpAddrs: ['172.16.1.0/32'],
    srcIpAddrs: ['172.16.1.1/32'],
    srcRoutes: [to('172.16.1.0/32')],
    dstRoutes: [to('172.16.1.1/32')],
  });
});

test('73: a refresh keeps them, another connection gets others, a close frees them after a rest', async () => {
  const a = callerOf(stage, await startNse(stage));
  const first = await a.request({ id: 'A-1' });
  expect(ipOf(await a.request(first))).toEqual(ipOf(first));
  expect(ipOf(await a.request({ id: 'A-2' })).dstIpAddrs).toEqual(['172.16.1.2/32']);
  await a.close(first);
  expect(ipOf(await a.request({ id: 'A-3' })).dstIpAddrs).toEqual(['172.16.1.4/32']);
  await stage.clock.advance(REST_MS);
  expect(ipOf(await a.request({ id: 'A-4' })).dstIpAddrs).toEqual(['172.16.1.0/32']);
});

test('74: addresses that have become excluded are replaced, and no route to them is left', async () => {
  const a = callerOf(stage, await startNse(stage));
  const first = await a.request();
  const second = await a.request(excluding(first, ['172.16.1.0/31']));
  expect(ipOf(second)).toMatchObject({
    dstIpAddrs: ['172.16.1.2/32'],
    srcIpAddrs: ['172.16.1.3/32'],
    srcRoutes: [to('172.16.1.2/32')],
    dstRoutes: [to('172.16.1.3/32')],
    excludedPrefixes: ['172.16.1.0/31'],
  });
  // The old ones are free again for others, after a rest.
  await stage.clock.advance(REST_MS);
  expect(ipOf(await a.request({ id: 'A-2' })).dstIpAddrs).toEqual(['172.16.1.0/32']);
});

test('75: after a restart the endpoint keeps the addresses a refresh brings', async () => {
  const a = callerOf(stage, await startNse(stage));
  await a.request({ id: 'A-1' });
  const second = await a.request({ id: 'A-2' });
  const restarted = callerOf(stage, await startNse(stage, { url: stage.unix('again') }));
  expect(ipOf(await restarted.request(second))).toEqual(ipOf(second));
  // What it claimed back is not given out again.
  const others = [await restarted.request({ id: 'A-3' }), await restarted.request({ id: 'A-4' })];
  expect(others.map((other) => ipOf(other).dstIpAddrs)).toEqual([
    ['172.16.1.0/32'],
    ['172.16.1.4/32'],
  ]);
});

test('75: after a restart the endpoint keeps what its wires have for their clients, until their tokens have ended', async () => {
  const a = callerOf(stage, await startNse(stage));
  const first = await a.request({ id: 'A-1' });
  const { dstIpAddrs, srcIpAddrs } = ipOf(first);
  const inUse = [...dstIpAddrs, ...srcIpAddrs].map((text) => text.replace('/32', ''));
  const restarted = callerOf(stage, await startNse(stage, { url: stage.unix('again'), inUse }));
  // Somebody else asks before the client does.
  expect(ipOf(await restarted.request({ id: 'A-2' })).dstIpAddrs).toEqual(['172.16.1.2/32']);
  expect(ipOf(await restarted.request(first))).toEqual(ipOf(first));
  const third = callerOf(stage, await startNse(stage, { url: stage.unix('third'), inUse }));
  await stage.clock.advance(LIFETIME);
  expect(ipOf(await third.request({ id: 'A-3' })).dstIpAddrs).toEqual(dstIpAddrs);
});

test('75: addresses that another connection has by now are not kept', async () => {
  const a = callerOf(stage, await startNse(stage));
  const first = await a.request({ id: 'A-1' });
  const restarted = callerOf(stage, await startNse(stage, { url: stage.unix('again') }));
  await restarted.request({ id: 'A-9' });
  expect(ipOf(await restarted.request(first))).toMatchObject({
    dstIpAddrs: ['172.16.1.2/32'],
    srcIpAddrs: ['172.16.1.3/32'],
    srcRoutes: [to('172.16.1.2/32')],
    dstRoutes: [to('172.16.1.3/32')],
  });
});

test('75: addresses of a foreign pool are taken off when strict (ours), and kept when polite', async () => {
  const foreign: PartialConnection = {
    context: { ipContext: { srcIpAddrs: ['10.9.9.1/32'], dstIpAddrs: ['10.9.9.0/32'] } },
  };
  const strict = callerOf(stage, await startNse(stage, { name: 'strict' }));
  expect(ipOf(await strict.request(foreign)).srcIpAddrs).toEqual(['172.16.1.1/32']);
  const polite = callerOf(stage, await startNse(stage, { name: 'polite', polite: true }));
  expect(ipOf(await polite.request(foreign)).srcIpAddrs).toEqual(['10.9.9.1/32', '172.16.1.1/32']);
});

test('76: a full pool is told, and keeps what it gave', async () => {
  const a = callerOf(stage, await startNse(stage, { groups: [['172.16.1.0/31']] }));
  const first = await a.request({ id: 'A-1' });
  const error = await refusal(a.request({ id: 'A-2' }));
  expect(error.message).toContain('IPPool is empty');
  expect(error.code).toBe('exhausted');
  expect(ipOf(await a.request(first))).toEqual(ipOf(first));
});

test('77: two groups of prefixes give one pair each', async () => {
  const groups = [['172.16.1.0/24'], ['fd00::/120']];
  const a = callerOf(stage, await startNse(stage, { groups }));
  expect(ipOf(await a.request())).toMatchObject({
    dstIpAddrs: ['172.16.1.0/32', 'fd00::/128'],
    srcIpAddrs: ['172.16.1.1/32', 'fd00::1/128'],
    srcRoutes: [to('172.16.1.0/32'), to('fd00::/128')],
    dstRoutes: [to('172.16.1.1/32'), to('fd00::1/128')],
  });
});

test('77: two prefixes of one group give one pair, from the first that has one', async () => {
  const groups = [['172.16.1.0/31', '172.16.2.0/31']];
  const a = callerOf(stage, await startNse(stage, { groups }));
  expect(ipOf(await a.request({ id: 'A-1' })).dstIpAddrs).toEqual(['172.16.1.0/32']);
  expect(ipOf(await a.request({ id: 'A-2' })).dstIpAddrs).toEqual(['172.16.2.0/32']);
});
