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
