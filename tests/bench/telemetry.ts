// What telemetry costs that nobody asked for, beside what it costs where it is on. Run it with: npm run bench -- telemetry
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryTransport } from '@nsm/rpc';
import {
  createHealth,
  createLogger,
  openTelemetry,
  readSettings,
  telemetrySettings,
} from '@nsm/service';
import { startCollector } from '../telemetry/collector.ts';
import { bringUpLoopback } from '../telemetry/watched-mesh.ts';
import { pssMiB } from './lib/process.ts';
import { median, table } from './lib/stats.ts';

const ROUNDS = 15;
const ELEMENTS = 20_000;

type Settings = Readonly<Record<string, string>>;

/** ns that an element of a chain takes which does nothing, once around it is what the settings ask for; the median of rounds in turn. */
async function elements(ways: readonly (readonly [string, Settings])[]) {
  const opened = await Promise.all(
    ways.map(async ([name, settings]) => {
      const log = createLogger(name, 'error');
      const context = { program: name, log, health: createHealth() };
      const telemetry = await openTelemetry(readSettings(telemetrySettings, settings), context);
      const transport = createMemoryTransport();
      return { name, telemetry, same: telemetry.instrumented(transport) === transport };
    }),
  );
  const nothing = async (): Promise<void> => undefined;
  const subjects = [
    { name: 'no code for telemetry at all', around: nothing },
    ...opened.map(({ name, telemetry }) => ({
      name,
      around: () => telemetry.trace('element', nothing),
    })),
  ];
  const samples = subjects.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [i, { around }] of subjects.entries()) {
      const started = performance.now();
      for (let n = 0; n < ELEMENTS; n += 1) await around();
      samples[i]?.push(((performance.now() - started) * 1e6) / ELEMENTS);
    }
  for (const { telemetry } of opened) await telemetry.close();
  return subjects.map(({ name }, i) => {
    const same = opened.find((each) => each.name === name)?.same;
    return [name, median(samples[i] ?? []), same === false ? 'wrapped' : 'the plain one'] as const;
  });
}

/** MiB that a registry which nobody calls has to itself and shares with others (Pss). */
async function memory(settings: Settings): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const program = spawn(join(import.meta.dirname, '../../dist/bin/registry'), [], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NSM_INSECURE: 'true',
      NSM_LISTEN_ON: `unix://${folder}/registry.sock`,
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of program.stdout) if (String(line).includes('"ready"')) break;
  const mib = pssMiB(program.pid ?? 0);
  const ended = once(program, 'exit');
  program.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true });
  return mib;
}

bringUpLoopback();
const collector = await startCollector();
const metrics = { NSM_PROMETHEUS_LISTEN_ON: '127.0.0.1:0' };
const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint };
const ways = [
  ['off', {}],
  ['metrics', metrics],
  ['metrics and traces', { ...metrics, ...traces }],
] as const;
const rows = await elements(ways);
console.log(table('An element that does nothing', ['', 'ns', 'calls go by'], rows));
const held = [];
for (const [name, settings] of ways) {
  const samples = [];
  for (let n = 0; n < 5; n += 1) samples.push(await memory(settings));
  held.push([name, median(samples)]);
}
console.log(table('A registry, median of 5', ['', 'MiB (Pss)'], held));
await collector.close();
