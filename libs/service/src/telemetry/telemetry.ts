import type { Trace } from '@nsm/chain';
import { buildOf, type Transport } from '@nsm/rpc';
import type { Health } from '../health.ts';
import type { Logger } from '../log.ts';
import type { Values } from '../settings.ts';
import { traceElements } from '../trace.ts';
import { instrument } from './instrument.ts';
import { noMetrics, type Metrics, type Reading } from './metrics.ts';
import type { telemetrySettings } from './telemetry-settings.ts';
import type { Tracing } from './tracing.ts';

type Config = Values<typeof telemetrySettings>;

/** What a process tells of itself while it runs. */
export interface Telemetry {
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  /** Around every element of a chain. */
  readonly trace: Trace;
  /** The transport with spans and counts, where there are any. */
  instrumented(transport: Transport): Transport;
  close(): Promise<void>;
}

interface TelemetryContext {
  readonly program: string;
  readonly log: Logger;
  readonly health: Health;
}

/**
 * Starts what the settings ask for. The libraries are imported only then: they take more memory than the rest of a client.
 * @throws Error where it cannot listen
 */
export async function openTelemetry(
  config: Config,
  { program, log, health }: TelemetryContext,
): Promise<Telemetry> {
  const tracing = await openTracing(config, program);
  const exposition = await openMetrics(config);
  if (exposition) {
    log.info({ url: exposition.url }, 'metrics');
    tellOfProcess(exposition, program, health);
  }
  const metrics = exposition ?? noMetrics;
  const logged = traceElements(log);
  return {
    metrics,
    tracing,
    trace: tracing ? (element, body) => tracing.part(element, () => logged(element, body)) : logged,
    instrumented: (transport) =>
      tracing || exposition ? instrument(transport, { tracing, metrics: exposition }) : transport,
    close: async () => {
      // A collector that is gone shall not hold up the end of the process.
      await tracing?.close().catch((err: unknown) => log.warn({ err }, 'spans could not be sent'));
      await exposition?.close();
    },
  };
}

async function openTracing(config: Config, program: string): Promise<Tracing | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: name } = config;
  if (endpoint === '' || config.OTEL_SDK_DISABLED) return undefined;
  const { startTracing, otlpExporter } = await import('./otlp.ts');
  return startTracing({
    resource: {
      'service.namespace': 'nsm',
      'service.name': name === '' ? program : name,
      'service.version': buildOf().version,
    },
    sampler: config.OTEL_TRACES_SAMPLER,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    exporter: otlpExporter(endpoint),
  });
}

async function openMetrics({ NSM_PROMETHEUS_LISTEN_ON: listenOn }: Config) {
  if (listenOn === undefined) return undefined;
  const { startPrometheus } = await import('./prometheus.ts');
  return startPrometheus(listenOn.host, listenOn.port);
}

function tellOfProcess(metrics: Metrics, program: string, health: Health): void {
  metrics.read('nsm_build_info', () => [[{ program, ...buildOf() }, 1]]);
  metrics.read('nsm_ready', () => [[{}, Number(health.ready)]]);
  metrics.read('nsm_dependency_up', () =>
    [...health.dependencies].map(([dependency, up]): Reading => [{ dependency }, Number(up)]),
  );
  metrics.read('process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage();
    return [[{}, (user + system) / 1e6]];
  });
  metrics.read('process_resident_memory_bytes', () => [[{}, process.memoryUsage.rss()]]);
  metrics.read('process_start_time_seconds', () => [[{}, performance.timeOrigin / 1_000]]);
}
