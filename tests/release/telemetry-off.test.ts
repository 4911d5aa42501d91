import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const main = join(import.meta.dirname, '../../services/registry/src/main.ts');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The libraries for telemetry that a registry has loaded from its start to its end. */
async function loadedWith(settings: Readonly<Record<string, string>>): Promise<string[]> {
  const file = join(folder, 'loaded');
  const record = `
    import { registerHooks } from 'node:module';
    import { appendFileSync } from 'node:fs';
    registerHooks({ load: (url, context, next) => {
      appendFileSync(${JSON.stringify(file)}, url + '\\n');
      return next(url, context);
    } });`;
  const registry = spawn(
    process.execPath,
    ['--conditions=source', '--import', `data:text/javascript,${encodeURIComponent(record)}`, main],
    {
      env: { NSM_INSECURE: 'true', NSM_LISTEN_ON: `unix://${folder}/registry.sock`, ...settings },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = once(registry, 'exit');
  for await (const line of createInterface(registry.stdout)) if (line.includes('"ready"')) break;
  registry.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  const names = readFileSync(file, 'utf8').matchAll(
    /node_modules\/(@opentelemetry|prom-client)\//g,
  );
  return [...new Set([...names].map(([, name = '']) => name))].sort();
}

test.each([
  ['nothing', {}, []],
  ['metrics', { NSM_PROMETHEUS_LISTEN_ON: '127.0.0.1:0' }, ['@opentelemetry', 'prom-client']],
  ['traces', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, ['@opentelemetry']],
  [
    'traces that are disabled',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' },
    [],
  ],
])(
  'asked for %s, a program loads only the libraries for that',
  async (_what, settings, libraries) => {
    expect(await loadedWith(settings)).toEqual(libraries);
  },
);
