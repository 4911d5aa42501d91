import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';

const program = join(import.meta.dirname, '../../dist/bin/registry');

test('a program as it is shipped ends a probe with 0 while the other one serves, and with 1 afterwards', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const env = {
    PATH: process.env['PATH'],
    NSM_INSECURE: 'true',
    NSM_LISTEN_ON: `unix://${folder}/registry.sock`,
  };
  const probe = (what: string) => spawnSync(program, ['--probe', what], { env }).status;
  const registry = spawn(program, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(registry, 'exit');
  try {
    for await (const line of createInterface(registry.stdout)) if (line.includes('"ready"')) break;
    expect(['startup', 'liveness', 'readiness'].map(probe)).toEqual([0, 0, 0]);
    expect(probe('health')).toBe(2);
  } finally {
    registry.kill('SIGTERM');
    await ended;
  }
  expect(probe('liveness')).toBe(1);
  rmSync(folder, { recursive: true });
});
