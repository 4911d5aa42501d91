// Writes what each program is made of to dist/<program>/sbom.cdx.json (CycloneDX 1.6): the npm packages of the lockfile and Node. Of an
// image, --packages FILE adds what is installed by the status file of its Debian, and --node VERSION tells its Node.
// Usage: npm run sbom [-- --packages /var/lib/dpkg/status --node v24.0.0]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { build, SERVICES } from './build.mjs';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const stamp = join(dist, '.sbom');

/** The version the project is installed with, named once. */
const pnpm = /'(pnpm@[\d.]+)'/.exec(
  readFileSync(join(import.meta.dirname, 'bootstrap.mjs'), 'utf8'),
)?.[1];

/** The installed packages of a Debian status file as components; their names by the package URL type `deb`. */
export function debianComponents(status) {
  return status.split('\n\n').flatMap((paragraph) => {
    const field = (name) => new RegExp(`^${name}: (.+)$`, 'm').exec(paragraph)?.[1];
    const [name, version] = [field('Package'), field('Version')];
    if (name === undefined || !field('Status')?.endsWith(' installed')) return [];
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${field('Architecture')}`;
    return [{ type: 'library', name, version, 'bom-ref': purl, purl }];
  });
}

function nodeComponent(text) {
  const version = text.replace(/^v/, '');
  const purl = `pkg:generic/node@${version}`;
  return { type: 'application', name: 'node', version, 'bom-ref': purl, purl };
}

function npmBom(program) {
  const { status, stdout, stderr } = spawnSync(
    'npx',
    [
      ...['--yes', pnpm, '--filter', `@nsm/service-${program}`, 'sbom', '--prod'],
      ...['--sbom-format', 'cyclonedx', '--sbom-spec-version', '1.6'],
      ...['--sbom-type', 'application'],
    ],
    { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  if (status !== 0) throw new Error(`the SBOM of ${program} could not be made: ${stderr}`);
  return JSON.parse(stdout);
}

/** Writes nothing while all it depends on is as it was the last time. `packages`: a Debian status file's text. @throws Error */
export function writeSboms({ packages = '', node = process.version } = {}) {
  const made = ['pnpm-lock.yaml', 'package.json', 'scripts/sbom.mjs'];
  const hash = createHash('sha256').update(`${node}\n${packages}\n`);
  for (const file of made) hash.update(readFileSync(join(root, file)));
  const current = hash.digest('hex');
  const files = SERVICES.map((name) => join(dist, name, 'sbom.cdx.json'));
  const known = existsSync(stamp) && readFileSync(stamp, 'utf8') === current;
  if (known && files.every((file) => existsSync(file))) {
    console.log('sbom: dist/*/sbom.cdx.json are up to date');
    return;
  }
  const shared = [nodeComponent(node), ...debianComponents(packages)];
  for (const [i, name] of SERVICES.entries()) {
    const bom = npmBom(name);
    bom.components = [...bom.components, ...shared];
    writeFileSync(files[i], `${JSON.stringify(bom, undefined, 2)}\n`);
    const own = bom.components.length - shared.length;
    console.log(`sbom: ${name}: ${own} npm packages, Node and ${shared.length - 1} of Debian`);
  }
  writeFileSync(stamp, current);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { packages, node } = parseArgs({
    options: { packages: { type: 'string' }, node: { type: 'string' } },
  }).values;
  await build();
  writeSboms({ node, ...(packages !== undefined && { packages: readFileSync(packages, 'utf8') }) });
}
