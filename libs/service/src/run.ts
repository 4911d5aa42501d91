import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { systemClock, type Clock, type Trace } from '@nsm/chain';
import { insecureTokens, svidTokens, type TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import {
  createGrpcTransport,
  type Listener,
  type ListenOptions,
  type Service,
  type Transport,
} from '@nsm/rpc';
import type { commonSettings } from './common-settings.ts';
import { createHealth, type Health } from './health.ts';
import { openIdentity, watchIdentity } from './identity.ts';
import { limitsFrom, tellLimits } from './limits.ts';
import { createLifecycle } from './lifecycle.ts';
import { createLogger, type Logger } from './log.ts';
import { createObserver, type Observer } from './observer.ts';
import { openPolicies } from './policies.ts';
import type { Proven } from './proven-settings.ts';
import type { Values } from './settings.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { openTelemetry } from './telemetry/telemetry.ts';

/**
 * Many small processes share a machine: their heaps shall stay near what they hold, at the price of some more collections.
 * A service that lets V8 choose grows to twice the size on garbage alone. The middle one of V8's three compilers costs a manager or
 * forwarder 10 MiB, and makes no difference once the last one has been at work.
 */
const SMALL_HEAP = ['--semi-space-growth-factor=1', '--heap-growing-percent=20', '--no-maglev'];

/** A health check of this service is answered by processes without identity, and by no others. */
const INSECURE = 'insecure';

/** Time each thing gets to stop. */
const STOP_LIMIT_MS = 10_000;

/** What a service builds on. */
export interface Runtime {
  readonly log: Logger;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly health: Health;
  /** Tells what happens here, beside the log. */
  readonly observer: Observer;
  readonly metrics: Metrics;
  /** Around every element of a chain: for spans and logs. */
  readonly trace: Trace;
  /** Says more of the call under way, in its span. */
  annotate(attributes: Readonly<Record<string, string>>): void;
  /** Tokens that are valid for `lifetimeMs` at most; `name` stands for this process where it has no identity. */
  readonly tokens: (name: string, lifetimeMs: number) => TokenSource;
  /** Who may do what here. */
  readonly policies: Policies;
  /** Segments a path may have; undefined: as many as by default. */
  readonly maxPath: number | undefined;
  readonly newId: () => string;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Registers one thing to stop when the process does; the last one started stops first. */
  onStop(name: string, stop: () => Promise<void> | void): void;
  /** Serves on all URLs, with health and reflection beside `services`. */
  serve(
    urls: readonly string[],
    hop: string,
    services: readonly Service[],
    options?: ListenOptions,
  ): Promise<readonly Listener[]>;
  /** Ends the process in order, as a signal would. */
  stop(reason: string): void;
}

/** Starts a service with what it builds on, and ends the process when it is told to, or when the start fails. */
export async function run(
  name: string,
  {
    common,
    identity: from,
    hop: self,
  }: {
    common: Values<typeof commonSettings>;
    identity: Proven | undefined;
    hop: string;
  },
  start: (runtime: Runtime) => Promise<void>,
): Promise<void> {
  for (const flag of SMALL_HEAP) setFlagsFromString(flag);
  const level = common.NSM_LOG_LEVEL;
  let ids = (): Readonly<Record<string, string>> => ({});
  const traced = common.OTEL_EXPORTER_OTLP_ENDPOINT !== '';
  const log = createLogger(name, level, traced ? () => ids() : undefined);
  const lifecycle = createLifecycle();
  const health = createHealth((dependency, up) => {
    if (up) log.info({ dependency }, 'a dependency is back');
    else log.warn({ dependency }, 'a dependency is lost: not ready');
  });
  let policies: Policies | undefined;
  const observer = createObserver(
    self,
    () => systemClock.now(),
    ({ spiffeId }) => policies?.sees(spiffeId, []) ?? false,
  );
  // A client serves nothing and its timers do not count: this keeps the process until it is told to stop.
  setInterval(() => undefined, 2 ** 30);

  const stop = async (reason: string, code: number): Promise<void> => {
    health.set(false);
    log.info({ reason }, 'stopping');
    const failures = await lifecycle.stop(STOP_LIMIT_MS);
    if (failures.length > 0) log.error({ failures }, 'not everything could be stopped');
    await log.end('stopped');
    process.exit(failures.length > 0 ? 1 : code);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)
    process.once(signal, () => void stop(signal, 0));
  process.on('SIGUSR1', () => void (log.level = 'trace'));
  process.on('SIGUSR2', () => void (log.level = level));
  process.on('unhandledRejection', (err) =>
    log.error({ err }, 'a promise was rejected and nobody looked: a defect'),
  );
  process.on('warning', (err) => log.debug({ err }, 'warning'));

  try {
    const telemetry = await openTelemetry(common, { program: name, log, health });
    const { metrics, tracing, trace } = telemetry;
    if (tracing) ids = () => tracing.ids();
    lifecycle.onStop('telemetry', () => telemetry.close());
    const identity = from && openIdentity(from, { log, clock: systemClock, random: Math.random });
    if (identity) {
      watchIdentity(identity, { clock: systemClock, metrics, up: health.depend('identity') });
      lifecycle.onStop('identity', () => identity.close());
    }
    const transport = telemetry.instrumented(
      createGrpcTransport(identity, {
        limits: from && limitsFrom(from),
        onLimit: tellLimits(log, metrics, Date.now),
      }),
    );
    lifecycle.onStop('connections', () => transport.close());
    if (from?.NSM_INSECURE === true) {
      health.add([INSECURE]);
      log.warn(
        'insecure: peers are not authenticated, and tokens prove nothing; whoever reaches a socket is trusted',
      );
    }
    const opened = await openPolicies(from, identity, log);
    lifecycle.onStop('policies', () => opened.close());
    ({ policies } = opened);
    await start({
      log,
      transport,
      clock: systemClock,
      health,
      observer,
      metrics,
      trace,
      annotate: (attributes) => tracing?.annotate(attributes),
      tokens: (subject, lifetimeMs) =>
        identity
          ? svidTokens(identity, lifetimeMs, systemClock, {
              certificates: from.NSM_POLICY_SET === 'closed',
            })
          : insecureTokens(subject, lifetimeMs, systemClock),
      policies,
      maxPath: from?.NSM_MAX_PATH_LENGTH,
      newId: randomUUID,
      random: Math.random,
      onStop: (what, stopIt) => lifecycle.onStop(what, stopIt),
      stop: (reason) => void stop(reason, 0),
      serve: async (urls, hop, services, options) => {
        health.add(services.map(({ definition }) => definition.fullName));
        const listeners: Listener[] = [];
        for (const url of urls) {
          const all = [...services, health.service, observer.service];
          const listener = await transport.serve(url, hop, all, options);
          lifecycle.onStop(`listener ${url}`, () => listener.close());
          listeners.push(listener);
        }
        return listeners;
      },
    });
    health.set(true);
    log.info('ready');
  } catch (err) {
    log.error({ err }, `cannot start: ${Error.isError(err) ? err.message : String(err)}`);
    await stop('failed start', 1);
  }
}
