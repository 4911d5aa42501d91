// A real Prometheus asks a running mesh for its metrics, and evaluates the alerts and the dashboard on them; promtool checks what it
// is told. Usage: npm run test:prometheus [-- --install]. --install: as root, apt-get install prometheus. Exit code 77: it is not there.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { has, installMissing } from './debian-packages.mjs';
import { namespaced } from './namespaced.mjs';

const root = join(import.meta.dirname, '..');
const args = process.argv.slice(2);
const PACKAGES = { prometheus: 'prometheus', promtool: 'prometheus' };

const say = (text) => console.log(`test:prometheus: ${text}`);
const fault = args.includes('--install') ? installMissing(PACKAGES, say) : undefined;
const missing = Object.keys(PACKAGES).filter((program) => !has(program));
if (missing.length > 0) {
  const how = 'as root: npm run test:prometheus -- --install';
  console.error(`test:prometheus: not run: ${missing.join(' and ')} missing; ${fault ?? how}`);
  process.exit(77);
}
await build();
const [command, ...rest] = namespaced([
  process.execPath,
  join(root, 'node_modules/jest/bin/jest.js'),
  '--config',
  'jest.prometheus.config.js',
  ...args.filter((arg) => arg !== '--install'),
]);
const { status } = spawnSync(command, rest, {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    NODE_OPTIONS:
      '--conditions=source --experimental-vm-modules --disable-warning=ExperimentalWarning',
  },
});
process.exit(status ?? 1);
