import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
process.exit(
  spawnSync(join(root, 'node_modules/.bin/prettier'), ['--write', '--log-level', 'warn', '.'], {
    cwd: root,
    stdio: 'inherit',
  }).status ?? 1,
);
