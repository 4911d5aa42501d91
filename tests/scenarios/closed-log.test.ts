import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');

// It went on for ever, trying to write its last lines to a reader that was gone.
test('a program stops when it is told to, also where nobody reads its log any more', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const registry = spawn(join(root, 'dist/bin/registry'), {
    env: {
      PATH: process.env['PATH'],
      NSM_INSECURE: 'true',
      NSM_LISTEN_ON: `unix://${folder}/registry.sock`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(registry, 'exit');
  // Leaving the loop closes the pipe.
  for await (const chunk of registry.stdout) if (String(chunk).includes('"ready"')) break;
  registry.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  rmSync(folder, { recursive: true });
});
