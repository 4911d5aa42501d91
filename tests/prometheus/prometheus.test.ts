import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import {
  bringUpLoopback,
  createWatchedMesh,
  PROGRAMS,
  type Running,
  type WatchedMesh,
} from '../telemetry/watched-mesh.ts';
import { eventually } from '../worlds/world.ts';

const root = join(import.meta.dirname, '../..');
const alerts = join(root, 'monitoring/prometheus/alerts.yaml');
const promtool = (args: readonly string[], input?: string): string => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', input });
  return status === 0 ? stderr : `${status} ${stdout}${stderr}`;
};

let folder: string;
let mesh: WatchedMesh;
let prometheus: ChildProcess;
let api: string;
const programs = new Map<string, Running>();
const ask = async <T>(path: string): Promise<T> => {
  const response = await fetch(`${api}${path}`);
  return ((await response.json()) as { data: T }).data;
};
const query = async (expr: string) =>
  ask<{ result: { metric: Record<string, string>; value: [number, string] }[] } | undefined>(
    `/query?query=${encodeURIComponent(expr)}`,
  );

beforeAll(async () => {
  bringUpLoopback();
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  mesh = createWatchedMesh({});
  for (const name of PROGRAMS) programs.set(name, await mesh.start(name));
  await programs.get('nsc')!.said('connected');
  const targets = await Promise.all(
    [...programs.values()].map(
      async (program) => new URL((await program.said('metrics')).url ?? '').host,
    ),
  );
  writeFileSync(
    join(folder, 'prometheus.yml'),
    stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [alerts],
      scrape_configs: [{ job_name: 'nsm', static_configs: [{ targets }] }],
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  api = `http://${address}/api/v1`;
  prometheus = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${address}`,
    ],
    { stdio: 'ignore' },
  );
});
afterAll(async () => {
  const ended = once(prometheus, 'exit');
  prometheus.kill('SIGTERM');
  await ended;
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('a Prometheus scrapes every program', async () => {
  const up = await eventually(
    async () => (await query('up').catch(() => undefined))?.result ?? [],
    (found) => found.length === PROGRAMS.length && found.every(({ value }) => value[1] === '1'),
    60_000,
    250,
  );
  expect(up).toHaveLength(PROGRAMS.length);
  const held = await query('sum(nsm_connections{state="up"})');
  // One wire, held by client, manager, forwarder and endpoint.
  expect(held?.result[0]?.value[1]).toBe('4');
});

test('it evaluates every alert, and none of a healthy mesh fires', async () => {
  type Rule = { name: string; health: string; state: string };
  const rules = await eventually(
    async () =>
      (await ask<{ groups: { rules: Rule[] }[] }>('/rules')).groups.flatMap((group) => group.rules),
    (found) => found.length > 0 && found.every(({ health }) => health === 'ok'),
    60_000,
    250,
  );
  expect(rules.filter(({ state }) => state === 'firing')).toEqual([]);
});

test('it answers every question of the dashboard', async () => {
  const { panels } = JSON.parse(
    readFileSync(join(root, 'monitoring/grafana/nsm.json'), 'utf8'),
  ) as {
    panels: { targets: { expr: string }[] }[];
  };
  const faulty: string[] = [];
  for (const { expr } of panels.flatMap(({ targets }) => targets)) {
    const asked = expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m');
    if ((await query(asked)) === undefined) faulty.push(expr);
  }
  expect(faulty).toEqual([]);
});

test('promtool finds nothing to say against any of the metrics', async () => {
  for (const [name, program] of programs)
    expect([name, promtool(['check', 'metrics'], await program.metrics())]).toEqual([name, '']);
});

test('promtool finds the configuration and the alerts right, and that each fires when it should', () => {
  expect(promtool(['check', 'config', join(root, 'monitoring/prometheus/prometheus.yml')])).toBe(
    '',
  );
  expect(promtool(['check', 'rules', alerts])).toBe('');
  expect(promtool(['test', 'rules', join(root, 'monitoring/prometheus/alerts.test.yaml')])).toBe(
    '',
  );
});
