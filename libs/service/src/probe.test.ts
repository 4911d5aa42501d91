import { expect, test } from '@jest/globals';
import { createMemoryTransport } from '@nsm/rpc';
import { createHealth } from './health.ts';
import { probe, probeUrl } from './probe.ts';

test.each([
  ['unix:///run/x.sock', 'unix:///run/x.sock'],
  [['unix:///run/x.sock', 'tcp://:5001'], 'unix:///run/x.sock'],
  [['tcp://:5001'], 'tcp://127.0.0.1:5001'],
  [['tcp://0.0.0.0:5001'], 'tcp://127.0.0.1:5001'],
  [['tcp://[::]:5001'], 'tcp://[::1]:5001'],
  [['tcp://10.0.0.1:5001'], 'tcp://10.0.0.1:5001'],
  [[], undefined],
  [undefined, undefined],
])('of %j a probe dials %j', (listenOn, url) => {
  expect(probeUrl(listenOn)).toBe(url);
});

test('a probe fails until the process serves, while it drains, and when nobody listens', async () => {
  const transport = createMemoryTransport();
  const health = createHealth();
  const url = 'unix:///probe.sock';
  const ask = () => probe(transport, { url, what: 'readiness' }, () => 0);
  await expect(ask()).rejects.toMatchObject({ code: 'unavailable' });
  await transport.serve(url, 'x', [health.service]);
  await expect(ask()).rejects.toMatchObject({ code: 'unavailable' });
  health.set(true);
  await ask();
  health.set(false);
  await expect(ask()).rejects.toMatchObject({ code: 'unavailable' });
});
