import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { instruments } from '@nsm/service';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const metrics = new Map<string, { readonly kind: string; readonly labels: readonly string[] }>(
  Object.entries(instruments),
);
/** What Prometheus adds to every sample, and a histogram to its buckets. */
const ADDED = ['instance', 'job', 'le'];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook_url: string };
}
interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly query: string | { query: string } }[] };
}
const { groups } = parse(read('monitoring/prometheus/alerts.yaml')) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read('monitoring/grafana/nsm.json')) as Dashboard;

/** The metrics an expression names, as the table calls them; a histogram is asked by what it is made of. */
function metricsIn(expr: string): { name: string; known: boolean }[] {
  return [...expr.matchAll(/\b(?:nsm|process)_\w+/g)].map(([name]) => {
    const family = name.replace(/_(bucket|sum|count)$/, '');
    return metrics.get(family)?.kind === 'histogram'
      ? { name, known: name !== family }
      : { name, known: metrics.has(name) };
  });
}

/** The labels an expression selects or groups by, other than those that are added. */
function labelsIn(expr: string): string[] {
  const selected = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inner = '']) =>
    [...inner.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label),
  );
  const grouped = [...expr.matchAll(/\b(?:by|on|group_left)\s*\(([^)]*)\)/g)].flatMap(
    ([, inner = '']) => inner.split(',').map((label) => label.trim()),
  );
  return [...selected, ...grouped].filter((label) => !ADDED.includes(label));
}

const expressions: readonly (readonly [string, string])[] = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => [title, expr] as const),
  ),
];

describe.each(expressions)('%s: %s', (_, expr) => {
  test('asks for metrics that exist, by labels they have', () => {
    const named = metricsIn(expr);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter(({ known }) => !known)).toEqual([]);
    const labels = named.flatMap(
      ({ name }) =>
        metrics.get(name.replace(/_(bucket|sum|count)$/, ''))?.labels ??
        metrics.get(name)?.labels ??
        [],
    );
    expect(labelsIn(expr).filter((label) => !labels.includes(label))).toEqual([]);
  });
});

test('the dashboard chooses by a metric that exists', () => {
  const queries = dashboard.templating.list.flatMap(({ query }) =>
    typeof query === 'string' ? [] : [query.query],
  );
  expect(queries.flatMap(metricsIn).map(({ known }) => known)).toEqual([true]);
});

test('every metric of the mesh is on the dashboard', () => {
  const shown = dashboard.panels
    .flatMap(({ targets }) => targets.map(({ expr }) => expr))
    .join(' ');
  const own = [...metrics.keys()].filter((name) => name.startsWith('nsm_'));
  expect(own.filter((name) => !shown.includes(name))).toEqual([]);
});

test('each alert has its page, and each page its alert', () => {
  for (const { alert, annotations } of rules) {
    expect(annotations.runbook_url).toBe(`docs/runbooks/${alert}.md`);
    expect(existsSync(join(root, annotations.runbook_url))).toBe(true);
  }
  const pages = readdirSync(join(root, 'docs/runbooks')).map((file) => file.replace('.md', ''));
  expect(pages.sort()).toEqual(rules.map(({ alert }) => alert).sort());
});

test('each metric is explained in docs/telemetry.md', () => {
  const text = read('docs/telemetry.md');
  expect([...metrics.keys()].filter((name) => !text.includes(`\`${name}`))).toEqual([]);
});

test('the Prometheus of the compose file asks every process there that tells metrics', () => {
  const { services } = parse(read('docker-compose.yml'), { merge: true }) as {
    readonly services: Readonly<
      Record<string, { environment?: Record<string, string>; network_mode?: string }>
    >;
  };
  const told = Object.entries(services).flatMap(([name, { environment, network_mode: in_ }]) => {
    const port = /:(\d+)$/.exec(environment?.['NSM_PROMETHEUS_LISTEN_ON'] ?? '')?.[1];
    return port === undefined ? [] : [`${in_?.replace('service:', '') ?? name}:${port}`];
  });
  const { scrape_configs: jobs } = parse(read('monitoring/prometheus/prometheus.yml')) as {
    readonly scrape_configs: readonly {
      readonly static_configs: readonly { readonly targets: readonly string[] }[];
    }[];
  };
  const asked = jobs.flatMap((job) => job.static_configs.flatMap(({ targets }) => targets));
  expect(asked.toSorted()).toEqual(told.toSorted());
});
