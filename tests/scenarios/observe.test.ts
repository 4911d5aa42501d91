import { dirname, join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

interface Line {
  readonly time: string;
  readonly kind: string;
  readonly client: string;
  readonly cause: string;
  readonly ms: number;
  readonly endpoint: string;
}

const NSM = join(import.meta.dirname, '../../dist/bin/nsm');

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

test('nsm observe shows a wire that is made, healed and closed, and what was before on demand', async () => {
  const w = (world = await startNetns(
    twoNodes('obs', '  a: { node: n1, services: [kernel://far/nsm-1] }'),
  ));
  await w.connected('a');
  const run = (...args: string[]) =>
    w.lab.spawn('n1', [NSM, 'observe', '--lab', 'obs', '-o', 'json', '--client', 'a', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NSM_LAB_STATE: dirname(w.lab.plan.folder) },
    });
  const linesOf = (child: ReturnType<typeof run>): Line[] => {
    const lines: Line[] = [];
    let rest = '';
    child.stdout?.on('data', (data: Buffer) => {
      const parts = `${rest}${data.toString()}`.split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts.map((line) => JSON.parse(line) as Line));
    });
    return lines;
  };
  const live = run('--since', '1h');
  const lines = linesOf(live);
  const seen = (kind: string) =>
    eventually(
      async () => lines.find((line) => line.kind === kind),
      (line) => line !== undefined,
    );
  expect(await seen('request')).toMatchObject({ client: 'a', endpoint: 'nse-far' });

  await w.kill('forwarder-n1');
  expect(await seen('heal-start')).toMatchObject({
    client: 'a',
    cause: expect.stringContaining('gone'),
  });
  await w.start('forwarder-n1');
  const healed = await seen('heal-end');
  expect(healed?.ms).toBeGreaterThan(0);
  await w.end('a');
  await seen('close');
  live.kill();

  const past = run('--since', '1h', '--past', '--kind', 'heal-start,close');
  const told = linesOf(past);
  await new Promise((resolve) => past.once('close', resolve));
  expect(told.map(({ kind }) => kind)).toEqual(['heal-start', 'close']);
});
