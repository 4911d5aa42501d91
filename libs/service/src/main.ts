import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { systemClock, type Clock } from '@nsm/chain';
import { insecureTokens, svidTokens, type TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import {
  createGrpcTransport,
  versionLine,
  type Listener,
  type ListenOptions,
  type Service,
  type Transport,
} from '@nsm/rpc';
import { createHealth, type Health } from './health.ts';
import { checkIdentity, identitySettings, openIdentity } from './identity.ts';
import { limitSettings, limitsFrom, logLimits } from './limits.ts';
import { createLifecycle } from './lifecycle.ts';
import { createObserver, type Observer } from './observer.ts';
import { createLogger, logLevels, type Logger } from './log.ts';
import { openPolicies, policySettings } from './policies.ts';
import { probe, probeUrl } from './probe.ts';
import {
  choice,
  describeSettings,
  readSettings,
  SettingsError,
  type Settings,
  type Values,
} from './settings.ts';

/**
 * Many small processes share a machine: their heaps shall stay near what they hold, at the price of some more collections.
 * A service that lets V8 choose grows to twice the size on garbage alone. The middle one of V8's three compilers costs a manager or
 * forwarder 10 MiB, and makes no difference once the last one has been at work.
 */
const SMALL_HEAP = ['--semi-space-growth-factor=1', '--heap-growing-percent=20', '--no-maglev'];

/** A health check of this service is answered by processes without identity, and by no others. */
const INSECURE = 'insecure';

export interface MainOptions {
  /** Whether it has an identity, or says that it has none. @default true */
  readonly proven?: boolean;
}

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

/** The settings every service has. */
const common = {
  NSM_LOG_LEVEL: choice(
    { fallback: 'info', help: 'least severe log line; SIGUSR1 switches to trace, SIGUSR2 back' },
    ...logLevels,
  ),
};

/** The settings of every service that has an identity. */
const provenSettings = { ...identitySettings, ...policySettings, ...limitSettings };
type Proven = Values<typeof provenSettings>;

/**
 * The main program of a service: reads its settings, starts it, and stops it in order on SIGTERM, SIGINT, SIGHUP or
 * SIGQUIT. With `--probe` it asks the process of the same settings whether it serves. Exit codes: 0 stopped, or serving; 1 could
 * not start or stop, or is not serving; 2 faulty settings.
 */
export async function main<S extends Settings>(
  name: string,
  settings: S,
  start: (config: Values<S>, runtime: Runtime) => Promise<void>,
  { proven = true }: MainOptions = {},
): Promise<void> {
  const table = { ...settings, ...(proven && provenSettings), ...common };
  const argument = process.argv[2];
  if (argument === '--help' || argument === '-h')
    return void process.stdout.write(
      `${versionLine(name)}\n\nSettings (environment):\n${describeSettings(table)}\n`,
    );
  if (argument === '--version') return void process.stdout.write(`${versionLine(name)}\n`);
  if (argument !== undefined && argument !== '--probe') {
    refuse([
      `${argument}: no such option; ${name} takes --help, --version and --probe, and its settings from the environment`,
    ]);
    return;
  }
  let config: Values<S & typeof common>;
  try {
    config = readSettings<S & typeof common>(table, process.env);
    if (proven) checkIdentity(config as unknown as Proven);
  } catch (err) {
    if (err instanceof SettingsError) {
      refuse(err.faults);
      return;
    }
    throw err;
  }
  const identity = proven ? (config as unknown as Proven) : undefined;
  if (argument === '--probe') {
    await runProbe(name, config, identity);
    return;
  }
  const { NSM_LOG_LEVEL: level } = config as Values<typeof common>;
  const { NSM_NAME: hop = name } = config as { NSM_NAME?: string };
  await run(name, { level, identity, hop }, (runtime) => start(config, runtime));
}

/** Dials what the process of these settings listens on, with an identity as it has. */
async function runProbe(name: string, config: object, from: Proven | undefined): Promise<void> {
  const url = probeUrl((config as { NSM_LISTEN_ON?: unknown }).NSM_LISTEN_ON);
  if (url === undefined) {
    refuse([`NSM_LISTEN_ON is empty: ${name} has no place to be probed at`]);
    return;
  }
  const log = createLogger(name, 'error');
  const identity = from && openIdentity(from, { log, clock: systemClock, random: Math.random });
  const transport = createGrpcTransport(identity);
  try {
    await probe(transport, url, Date.now);
  } catch (err) {
    process.stderr.write(`${Error.isError(err) ? err.message : String(err)}\n`);
    process.exitCode = 1;
  } finally {
    transport.close();
    identity?.close();
  }
}

function refuse(faults: readonly string[]): void {
  process.stderr.write(`${faults.join('\n')}\n`);
  process.exitCode = 2;
}

async function run(
  name: string,
  { level, identity: from, hop }: { level: string; identity: Proven | undefined; hop: string },
  start: (runtime: Runtime) => Promise<void>,
): Promise<void> {
  for (const flag of SMALL_HEAP) setFlagsFromString(flag);
  const log = createLogger(name, level);
  const lifecycle = createLifecycle();
  const health = createHealth();
  const observer = createObserver(hop, () => systemClock.now());
  const identity = from && openIdentity(from, { log, clock: systemClock, random: Math.random });
  if (identity) lifecycle.onStop('identity', () => identity.close());
  const transport = createGrpcTransport(identity, {
    limits: from && limitsFrom(from),
    onLimit: logLimits(log, Date.now),
  });
  // A client serves nothing and its timers do not count: this keeps the process until it is told to stop.
  setInterval(() => undefined, 2 ** 30);
  lifecycle.onStop('connections', () => transport.close());

  const stop = async (reason: string, code: number): Promise<void> => {
    health.set(false);
    log.info({ reason }, 'stopping');
    const failures = await lifecycle.stop(STOP_LIMIT_MS);
    if (failures.length > 0) log.error({ failures }, 'not everything could be stopped');
    log.info('stopped');
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

  const runtime: Omit<Runtime, 'policies'> = {
    log,
    transport,
    clock: systemClock,
    health,
    observer,
    tokens: (subject, lifetimeMs) =>
      identity
        ? svidTokens(identity, lifetimeMs, systemClock)
        : insecureTokens(subject, lifetimeMs, systemClock),
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
  };
  if (from?.NSM_INSECURE === true) {
    health.add([INSECURE]);
    log.warn(
      'insecure: peers are not authenticated, and tokens prove nothing; whoever reaches a socket is trusted',
    );
  }
  try {
    const opened = await openPolicies(from, log);
    lifecycle.onStop('policies', () => opened.close());
    await start({ ...runtime, policies: opened.policies });
    health.set(true);
    log.info('ready');
  } catch (err) {
    log.error({ err }, `cannot start: ${Error.isError(err) ? err.message : String(err)}`);
    await stop('failed start', 1);
  }
}
