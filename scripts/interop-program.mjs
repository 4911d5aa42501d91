// Builds the program of tests/interop, which holds upstream's chains.
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

/** The path of the program; exits with the reason where it cannot be built. */
export function buildInterop(root) {
  const folder = join(root, 'tests/interop');
  const program = join(root, '.cache/interop/program');
  // Go's own installation is often not in the PATH of services and scripts.
  const path = [process.env.PATH ?? '', '/usr/local/go/bin'].join(delimiter);
  const env = { ...process.env, PATH: path, CGO_ENABLED: '0', GOWORK: 'off' };
  const go = (args) => {
    const { status, error } = spawnSync('go', args, { cwd: folder, stdio: 'inherit', env });
    if (error)
      fail(`Go is needed to build upstream's chains, and cannot be started: ${error.message}`);
    if (status !== 0) fail(`go ${args.join(' ')} failed in tests/interop`);
  };
  const { stdout } = spawnSync('gofmt', ['-l', '.'], { cwd: folder, encoding: 'utf8', env });
  if (stdout) fail(`not formatted as gofmt does: ${stdout}`);
  go(['vet', '.']);
  go(['build', '-trimpath', '-o', program, '.']);
  return program;
}

function fail(text) {
  console.error(text);
  process.exit(1);
}
