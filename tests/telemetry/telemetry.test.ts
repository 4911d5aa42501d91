import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { instruments } from '@nsm/service';
import { eventually } from '../worlds/world.ts';
import { startCollector, type CollectedSpan, type Collector } from './collector.ts';
import {
  bringUpLoopback,
  createWatchedMesh,
  PROGRAMS,
  type Running,
  type WatchedMesh,
} from './watched-mesh.ts';

let collector: Collector;
let mesh: WatchedMesh;
const programs = new Map<string, Running>();
beforeAll(async () => {
  bringUpLoopback();
  collector = await startCollector();
  mesh = createWatchedMesh({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint });
  for (const name of PROGRAMS) programs.set(name, await mesh.start(name));
  await programs.get('nsc')!.said('connected');
});
afterAll(async () => {
  await mesh.stop();
  await collector.close();
});

/** The path of a span from the root of its trace, as names of processes. */
function hopsTo(span: CollectedSpan, spans: readonly CollectedSpan[]): string[] {
  const above = spans.find(({ spanId }) => spanId === span.parentId);
  const hops = above ? hopsTo(above, spans) : [];
  return hops.at(-1) === span.process ? hops : [...hops, span.process];
}

test('a Request is one trace over all of its hops, with a span for each element of each chain', async () => {
  const request = await eventually(
    async () => {
      // Not one of those that came before all of the mesh was there.
      const served = collector.spans.find(
        ({ process, name }) => process === 'nse' && name === 'ipam',
      );
      return collector.spans.filter(({ traceId }) => traceId === served?.traceId);
    },
    (spans) => {
      const ids = new Set(spans.map(({ spanId }) => spanId));
      const hanging = spans.filter(({ parentId }) => !ids.has(parentId));
      return hanging.length === 1 && hanging[0]?.parentId === '';
    },
    20_000,
  );
  const endpoint = request.find(({ process, name }) => process === 'nse' && name === 'ipam');
  expect(endpoint && hopsTo(endpoint, request)).toEqual(['nsc', 'nsmgr', 'forwarder', 'nse']);
  const elements = Map.groupBy(request, ({ process }) => process);
  const named = (process: string): string[] => elements.get(process)?.map(({ name }) => name) ?? [];
  expect(named('nsmgr')).toEqual(
    expect.arrayContaining(['validate', 'discover-forwarder', 'connect']),
  );
  expect(named('forwarder')).toEqual(
    expect.arrayContaining(['discover', 'cross-connect', 'networkservice.NetworkService/Request']),
  );
  // Nothing of the trace hangs in the air.
  const ids = new Set(request.map(({ spanId }) => spanId));
  expect(request.filter(({ parentId }) => !ids.has(parentId))).toHaveLength(1);
});

describe('metrics', () => {
  const FAMILY = /^# TYPE (\S+) (\S+)$/gm;
  const SAMPLE = /^([a-z_]+)(?:\{(.*)\})? \S+$/gm;
  let texts: Map<string, string>;
  beforeAll(async () => {
    // An endpoint that goes and comes back: its client heals.
    await programs.get('nse')!.stop();
    programs.set('nse', await mesh.start('nse'));
    await programs.get('nsc')!.said('healed');
    texts = new Map<string, string>();
    for (const [name, program] of programs) texts.set(name, await program.metrics());
  });

  test('are those of the table, each of them somewhere, and of the kind it says', () => {
    const told = [...texts.values()].flatMap((text) => [...text.matchAll(FAMILY)]);
    const kinds = Object.fromEntries(told.map(([, name = '', kind]) => [name, kind]));
    const table = Object.entries(instruments).map(([name, { kind }]) => [name, kind]);
    expect(kinds).toEqual(Object.fromEntries(table));
    for (const name of Object.keys(instruments))
      expect([
        name,
        [...texts.values()].some((text) => new RegExp(`^${name}`, 'm').test(text)),
      ]).toEqual([name, true]);
  });

  test('have the labels of the table and no others, and none of them an id', () => {
    const labels = new Map<string, readonly string[]>(
      Object.entries(instruments).map(([name, { labels: names }]) => [name, names]),
    );
    for (const [, name = '', given = ''] of [...texts.values()].flatMap((text) => [
      ...text.matchAll(SAMPLE),
    ])) {
      const family = labels.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
      const names = [...given.matchAll(/(\w+)="/g)].map(([, label]) => label);
      expect({ name, labels: names.filter((label) => label !== 'le') }).toEqual({
        name,
        labels: labels.get(family),
      });
      expect(given).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|nsc-0/);
    }
  });

  test('tell what has happened', () => {
    expect(texts.get('nsc')).toContain('nsm_connections{state="up"} 1');
    expect(texts.get('nsc')).toMatch(/nsm_heal_duration_seconds_count\{cause="path_down"\} [1-9]/);
    expect(texts.get('forwarder')).toContain('nsm_requests_total{service="web",code="ok"}');
    expect(texts.get('registry')).toContain('nsm_registry_entries{kind="endpoint"} 2');
    expect(texts.get('nsmgr')).toContain('nsm_dependency_up{dependency="registry"} 1');
    for (const text of texts.values()) expect(text).toContain('nsm_ready 1');
  });
});

describe('a manager whose registry is gone', () => {
  const WHAT = ['startup', 'liveness', 'readiness'];
  /** Asks until the exit codes of all three probes are these. */
  const answers = (wanted: readonly number[]): Promise<(number | null)[]> =>
    eventually(
      () => Promise.all(WHAT.map((what) => mesh.probe('nsmgr', what))),
      (codes) => codes.join() === wanted.join(),
      60_000,
    );

  test('is started and alive and not ready, until the registry is back', async () => {
    await answers([0, 0, 0]);
    await programs.get('registry')!.stop('SIGKILL');
    await answers([0, 0, 1]);
    expect(await programs.get('nsmgr')!.metrics()).toContain('nsm_ready 0');
    programs.set('registry', await mesh.start('registry'));
    await answers([0, 0, 0]);
  });

  test('tells of the stream by which it followed that registry as a trace, once it has ended', async () => {
    const ended = async () =>
      collector.spans.filter(
        ({ process, name, parentId }) =>
          process === 'nsmgr' && parentId === '' && name.endsWith('EndpointRegistry/Find'),
      ).length;
    expect(await eventually(ended, (count) => count > 0, 20_000)).toBeGreaterThan(0);
  });
});
