import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeSchemas } from './schemas.ts';

const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/nsm');
/** As scripts/test-chart.mjs has found them. */
const { helm, kubeconform, swagger, update } = JSON.parse(
  process.env['NSM_TEST_CHART'] ?? '{}',
) as { helm: string; kubeconform: string; swagger: string; update: boolean };
const cases = readdirSync(join(import.meta.dirname, 'values')).map((file) =>
  file.replace('.yaml', ''),
);
const values = (name: string): string => join(import.meta.dirname, `values/${name}.yaml`);
const golden = (name: string): string => join(import.meta.dirname, `golden/${name}.yaml`);

function run(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}
const render = (...args: readonly string[]): string =>
  run(helm, 'template', 'mesh', chart, '--namespace', 'nsm', '--kube-version', '1.29.0', ...args);

let folder: string;
let schemas: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  schemas = writeSchemas(swagger, join(folder, 'schemas'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(cases)('with the values %s', (name) => {
  test('helm has nothing to say against it', () => {
    expect(
      run(helm, 'lint', '--strict', chart, '--kube-version', '1.29.0', '--values', values(name)),
    ).toContain('0 chart(s) failed');
  });

  test('it renders what is kept of it', () => {
    const rendered = render('--values', values(name));
    if (update) writeFileSync(golden(name), rendered);
    expect(rendered).toBe(readFileSync(golden(name), 'utf8'));
  });

  test('every object is one that Kubernetes knows, without a field it does not', () => {
    const told = run(
      kubeconform,
      ...['-strict', '-summary', '-output', 'json', '-kubernetes-version', '1.29.0'],
      // Of the Prometheus operator.
      ...['-skip', 'PodMonitor', '-schema-location', schemas, golden(name)],
    );
    const { summary } = JSON.parse(told) as { summary: Record<string, number> };
    expect(summary).toMatchObject({ invalid: 0, errors: 0 });
    expect(summary['valid']).toBeGreaterThan(4);
  });
});

test('an object with a field that Kubernetes does not know is found', () => {
  const file = join(folder, 'wrong.yaml');
  writeFileSync(
    file,
    readFileSync(golden('default'), 'utf8').replace('hostPID: true', 'hostPid: true'),
  );
  expect(() => run(kubeconform, '-strict', '-schema-location', schemas, file)).toThrow(/hostPid/);
});

test.each([
  ['identity.mode=none', 'identity/mode'],
  ['image.digests.forwarder=latest', 'digests/forwarder'],
  ['registry.port=0', 'registry/port'],
  ['logLevel=loud', 'logLevel'],
  ['tracing.endpoint=collector:4317', 'tracing/endpoint'],
  ['insecure=true', 'insecure'],
  ['identity.mode=embedded', 'identity.embedded.existingSecret'],
])('%s is refused, and the error names %s', (setting, named) => {
  expect(() => render('--set', setting)).toThrow(named);
});
