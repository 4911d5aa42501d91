import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const [docker = 'docker'] = JSON.parse(process.env['NSM_TEST_DOCKER'] ?? '["docker"]') as string[];
const { version } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
) as { readonly version: string };

interface Image {
  readonly Config: {
    readonly User: string;
    readonly Labels: Readonly<Record<string, string>>;
    readonly Healthcheck?: { readonly Test: readonly string[] };
  };
}
const call = (...args: string[]): string =>
  execFileSync(docker, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const inspect = (name: string): Image =>
  (JSON.parse(call('image', 'inspect', `nsm/${name}:local`)) as [Image])[0];
const run = (...args: string[]): string =>
  call('run', '--rm', '--network=none', '--read-only', '--cap-drop=ALL', ...args);

const PROGRAMS = ['identity', 'registry', 'nsmgr', 'forwarder', 'nsc', 'nse', 'nsm'];

describe.each(PROGRAMS)('the image of %s', (name) => {
  const image = `nsm/${name}:local`;

  test('tells version and commit by --version and by labels, the same', () => {
    const { Labels } = inspect(name).Config;
    const [tagged, commit] = ['version', 'revision'].map(
      (label) => Labels[`org.opencontainers.image.${label}`],
    );
    expect(tagged).toBe(version);
    expect(commit).toMatch(/^[0-9a-f]{12}$/);
    expect(run(image, '--version')).toBe(`${name} ${version} (commit ${commit})\n`);
  });

  test('is not of root, but for the forwarder, and probes itself, but for the command line', () => {
    const { User, Healthcheck } = inspect(name).Config;
    expect(User).toBe(name === 'forwarder' ? '0:0' : '65532:65532');
    expect(Healthcheck?.Test).toEqual(
      name === 'nsm' ? undefined : ['CMD', 'node', '/app/main.mjs', '--probe'],
    );
  });

  test('says what it is made of: npm packages, Node, and packages of its base', () => {
    const file = name === 'nsm' ? '/app/nsm/sbom.cdx.json' : '/app/sbom.cdx.json';
    const { components } = JSON.parse(run('--entrypoint=cat', image, file)) as {
      readonly components: readonly { readonly purl?: string }[];
    };
    const purls = components.map(({ purl = '' }) => purl).join('\n');
    const node = run('--entrypoint=node', image, '--version').trim().slice(1);
    for (const part of ['pkg:npm/koffi@', 'pkg:deb/debian/libc6@', `pkg:generic/node@${node}`])
      expect(purls).toContain(part);
  });
});
