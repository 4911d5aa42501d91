// Writes what each program is made of to dist/<program>/sbom.cdx.json (CycloneDX 1.6), from the lockfile. Usage: npm run sbom
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, SERVICES } from './build.mjs';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const stamp = join(dist, '.sbom');

/** The version the project is installed with, named once. */
const pnpm = /'(pnpm@[\d.]+)'/.exec(
  readFileSync(join(import.meta.dirname, 'bootstrap.mjs'), 'utf8'),
)?.[1];

/** Does nothing while lockfile and version are those of the last time. @throws Error */
export function writeSboms() {
  const made = ['pnpm-lock.yaml', 'package.json'].map((file) => readFileSync(join(root, file)));
  const current = createHash('sha256').update(Buffer.concat(made)).digest('hex');
  const files = SERVICES.map((name) => join(dist, name, 'sbom.cdx.json'));
  const known = existsSync(stamp) && readFileSync(stamp, 'utf8') === current;
  if (known && files.every((file) => existsSync(file))) return;
  for (const [i, name] of SERVICES.entries()) {
    const { status, stderr } = spawnSync(
      'npx',
      [
        ...['--yes', pnpm, '--filter', `@nsm/service-${name}`, 'sbom', '--prod'],
        ...['--sbom-format', 'cyclonedx', '--sbom-spec-version', '1.6'],
        ...['--sbom-type', 'application', '--out', files[i]],
      ],
      { cwd: root, encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`the SBOM of ${name} could not be made: ${stderr}`);
  }
  writeFileSync(stamp, current);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await build();
  writeSboms();
}
