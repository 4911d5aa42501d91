// Makes a tarball for hosts without containers: the programs with their Node, systemd units, an example of each environment, SBOMs.
// Starts a registry out of it, and lets systemd verify the units, before it says that it is there. Usage: npm run bundle
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, release, SERVICES } from './build.mjs';
import { writeSboms } from './sbom.mjs';

const root = join(import.meta.dirname, '..');
const { version } = release();
const name = `nsm-${version}-linux-${process.arch}`;
const tarball = join(root, 'dist', `${name}.tar.gz`);

function run(command, args, options = {}) {
  const { status, error, stdout } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (error) throw new Error(`${command} cannot be started: ${error.message}`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
  return stdout;
}

/** Nothing of this folder or of the host's Node is needed by what was unpacked. */
async function tryOut(folder) {
  const env = { PATH: '/usr/bin:/bin' };
  for (const program of SERVICES) {
    const said = run(join(folder, 'bin', program), ['--version'], { env });
    if (!said.startsWith(`${program} ${version} `)) throw new Error(`${program} says: ${said}`);
  }
  const settings = {
    ...env,
    NSM_INSECURE: 'true',
    NSM_LISTEN_ON: `unix://${folder}/registry.sock`,
  };
  const registry = spawn(join(folder, 'bin/registry'), [], { env: settings, stdio: 'ignore' });
  const ended = once(registry, 'exit');
  const answers = () =>
    spawnSync(join(folder, 'bin/registry'), ['--probe'], { env: settings }).status === 0;
  for (let tries = 60; !answers(); tries -= 1)
    if (tries === 0 || registry.exitCode !== null) throw new Error('the registry does not serve');
  registry.kill('SIGTERM');
  await ended;
}

/** Lets systemd read the units, with their programs where they are now; answers its version, or undefined where there is none. */
function verifyUnits(folder) {
  const { error, stdout } = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
  if (error) return undefined;
  const source = join(folder, 'systemd');
  const there = join(folder, 'verified');
  mkdirSync(there);
  const units = readdirSync(source).flatMap((file) => {
    if (!file.endsWith('.service')) return [];
    // A template is verified as one of its instances.
    const unit = join(there, file.replace('@.', '@name.'));
    const text = readFileSync(join(source, file), 'utf8');
    writeFileSync(unit, text.replaceAll('/opt/nsm/', `${folder}/`));
    return [unit];
  });
  run('systemd-analyze', ['verify', '--man=no', ...units]);
  return stdout.split('\n')[0];
}

await build({ force: true });
writeSboms();
const scratch = mkdtempSync(join(tmpdir(), 'nsm-bundle-'));
try {
  const staged = join(scratch, name);
  for (const part of [...SERVICES, 'bin', 'node_modules', 'topologies'])
    cpSync(join(root, 'dist', part), join(staged, part), {
      recursive: true,
      filter: (path) => !path.endsWith('.map'),
    });
  mkdirSync(join(staged, 'node'));
  cpSync(process.execPath, join(staged, 'node/node'));
  for (const part of readdirSync(join(root, 'packaging')))
    cpSync(join(root, 'packaging', part), join(staged, part), { recursive: true });
  cpSync(join(root, 'CHANGELOG.md'), join(staged, 'CHANGELOG.md'));
  run('tar', ['-C', scratch, '--owner=0', '--group=0', '--sort=name', '-czf', tarball, name]);
  rmSync(staged, { recursive: true });
  run('tar', ['-C', scratch, '-xzf', tarball]);
  await tryOut(staged);
  const systemd = verifyUnits(staged);
  console.log(
    systemd === undefined
      ? 'bundle: units not verified: there is no systemd-analyze (package systemd)'
      : `bundle: ${systemd} finds nothing to say against the units`,
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${tarball} (${(statSync(tarball).size / 2 ** 20).toFixed(0)} MiB)`);
