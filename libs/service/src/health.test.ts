import { expect, test } from '@jest/globals';
import { HealthCheckResponse_ServingStatus as Serving, HealthDefinition } from '@nsm/proto';
import { createMemoryTransport } from '@nsm/rpc';
import { createHealth } from './health.ts';

test('health follows the process, and a watcher hears each change', async () => {
  const transport = createMemoryTransport();
  const health = createHealth();
  health.add(['a.B']);
  await transport.serve('tcp://x:1', 'x', [health.service]);
  const client = transport.client(HealthDefinition, 'tcp://x:1');
  expect(await client.check({ service: 'a.B' })).toEqual({ status: Serving.NOT_SERVING });
  await expect(client.check({ service: 'c.D' })).rejects.toMatchObject({ code: 'not-found' });

  const seen: number[] = [];
  for await (const { status } of client.watch({ service: '' })) {
    seen.push(status);
    if (seen.length === 3) break;
    health.set(seen.length === 1);
  }
  expect(seen).toEqual([Serving.NOT_SERVING, Serving.SERVING, Serving.NOT_SERVING]);
});

test('what a process depends on takes readiness away, and neither liveness nor startup', async () => {
  const transport = createMemoryTransport();
  const told: unknown[] = [];
  const health = createHealth((name, up) => told.push([name, up]));
  await transport.serve('tcp://x:1', 'x', [health.service]);
  const client = transport.client(HealthDefinition, 'tcp://x:1');
  const ask = async (): Promise<boolean[]> => {
    const of = async (service: string): Promise<boolean> =>
      (await client.check({ service })).status === Serving.SERVING;
    return [await of('startup'), await of('liveness'), await of('readiness')];
  };
  const registry = health.depend('registry');
  const identity = health.depend('identity');
  registry(false);
  expect(await ask()).toEqual([false, true, false]);
  health.set(true);
  expect(await ask()).toEqual([true, true, false]);
  registry(true);
  expect(await ask()).toEqual([true, true, true]);
  identity(false);
  registry(false);
  identity(true);
  expect(await ask()).toEqual([true, true, false]);
  registry(true);
  registry(true);
  health.set(false); // draining
  expect(await ask()).toEqual([true, true, false]);
  expect(told).toEqual([
    ['registry', false],
    ['registry', true],
    ['identity', false],
    ['registry', false],
    ['identity', true],
    ['registry', true],
  ]);
});
