import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';

const BYTES = 100_000_000;
const PORT = '8080';
const script = (name: string): string => join(import.meta.dirname, '../worlds', name);

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

test.each([
  ['local', 'near', 'nse-near'],
  ['remote', 'far', 'nse-far'],
])('100 MB over HTTP cross a %s wire intact', async (_kind, service, endpoint) => {
  const started = await startNetns(
    twoNodes('http', `  a: { node: n1, services: [kernel://${service}/nsm-1] }`),
  );
  world = started;
  await started.connected('a');
  const [wire] = await started.wires();
  const address = wire!.endpointAddresses[0]!.split('/')[0]!;
  const server = started.lab.spawn(
    endpoint,
    [process.execPath, script('http-server.mjs'), address, PORT, String(BYTES)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(server.stdout!, 'data');
  const { stdout } = await started.lab.exec('a', [
    process.execPath,
    script('http-fetch.mjs'),
    `http://${address}:${PORT}/`,
  ]);
  expect(JSON.parse(stdout)).toEqual({ bytes: BYTES, intact: true });
  server.kill();
  await once(server, 'exit');
});
