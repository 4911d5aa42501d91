import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import prometheus from 'prom-client';
import { BUCKETS, instruments, type Instrument, type InstrumentName } from './instruments.ts';
import type { Labels, Metrics, Reading } from './metrics.ts';

/** Metrics that a Prometheus can ask for. */
export interface Exposition extends Metrics {
  /** Where: http://host:port/metrics; a port 0 has become the real one. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves what is counted on `host:port` in the text format of Prometheus. Loaded only where it is asked for. */
export async function startPrometheus(host: string, port: number): Promise<Exposition> {
  const registry = new prometheus.Registry();
  const made = new Map<InstrumentName, ReturnType<typeof make>>();
  /** A metric comes into being when it is first used: a program shows only what it has. */
  const get = (name: InstrumentName): ReturnType<typeof make> => {
    const metric = made.get(name) ?? make(name, instruments[name], registry);
    made.set(name, metric);
    return metric;
  };
  const readings = new Map<InstrumentName, () => Iterable<Reading> | Promise<Iterable<Reading>>>();
  const readAll = async (): Promise<void> => {
    const read = await Promise.all(
      [...readings].map(async ([name, values]) => [name, [...(await values())]] as const),
    );
    for (const [name, values] of read) {
      const metric = get(name);
      metric.reset();
      for (const [labels, value] of values) metric.set(labels, value);
    }
  };
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end();
    readAll()
      .then(() => registry.metrics())
      .then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        (err: unknown) => response.writeHead(500).end(`${String(err)}\n`),
      );
  });
  await listen(server, host, port);
  const { address, family, port: bound } = server.address() as AddressInfo;
  return {
    count: (name, labels) => get(name).set(labels, 1),
    observe: (name, seconds, labels = {}) => get(name).set(labels, seconds),
    read: (name, values) => void readings.set(name, values),
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}/metrics`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const listen = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });

/** `set` adds to a counter, replaces a gauge, and notes in a histogram. */
function make(
  name: string,
  { kind, help, labels: labelNames }: Instrument,
  registry: prometheus.Registry,
): { set(labels: Labels, value: number): void; reset(): void } {
  const about = { name, help, labelNames: [...labelNames], registers: [registry] };
  if (kind === 'counter') {
    const counter = new prometheus.Counter(about);
    return { set: (labels, by) => counter.inc(labels, by), reset: () => counter.reset() };
  }
  if (kind === 'gauge') {
    const gauge = new prometheus.Gauge(about);
    return { set: (labels, to) => gauge.set(labels, to), reset: () => gauge.reset() };
  }
  const histogram = new prometheus.Histogram({ ...about, buckets: [...BUCKETS] });
  return {
    set: (labels, seconds) => histogram.observe(labels, seconds),
    reset: () => histogram.reset(),
  };
}
