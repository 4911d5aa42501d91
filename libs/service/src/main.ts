import { versionLine } from '@nsm/rpc';
import { commonSettings } from './common-settings.ts';
import { probes } from './health.ts';
import { checkIdentity } from './identity.ts';
import { probeUrl } from './probe.ts';
import { provenSettings, type Proven } from './proven-settings.ts';
import { runProbe } from './run-probe.ts';
import { run, type Runtime } from './run.ts';
import {
  describeSettings,
  readSettings,
  SettingsError,
  type Settings,
  type Values,
} from './settings.ts';

export interface MainOptions<S extends Settings> {
  /** Whether it has an identity, or says that it has none. @default true */
  readonly proven?: boolean;
  /** Where a probe finds the process of these settings. @default NSM_LISTEN_ON */
  readonly listensOn?: (config: Values<S>) => string | undefined;
}

/**
 * The main program of a service: reads its settings, starts it, and stops it in order on SIGTERM, SIGINT, SIGHUP or
 * SIGQUIT. With `--probe` it asks the process of the same settings whether it is ready (`--probe liveness`: alive, `--probe startup`:
 * started). Exit codes: 0 stopped, or yes; 1 could not start or stop, or no; 2 faulty settings.
 */
export async function main<S extends Settings>(
  name: string,
  settings: S,
  start: (config: Values<S>, runtime: Runtime) => Promise<void>,
  {
    proven = true,
    listensOn = (config) => probeUrl((config as { NSM_LISTEN_ON?: unknown }).NSM_LISTEN_ON),
  }: MainOptions<S> = {},
): Promise<void> {
  const table = { ...settings, ...(proven && provenSettings), ...commonSettings };
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
  const what = probes.find((each) => each === (process.argv[3] ?? 'readiness'));
  if (argument === '--probe' && what === undefined) {
    refuse([`--probe ${process.argv[3] ?? ''}: it takes ${probes.join(', ')}`]);
    return;
  }
  let config: Values<S & typeof commonSettings>;
  try {
    config = readSettings<S & typeof commonSettings>(table, process.env);
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
    const url = listensOn(config);
    if (url === undefined) refuse([`NSM_LISTEN_ON is empty: ${name} has no place to be probed at`]);
    else {
      await runProbe(name, { url, what: what ?? 'readiness' }, identity);
      // A socket that still closes is no reason to stay, and would be told of while there is no JavaScript any more.
      process.exit();
    }
    return;
  }
  const { NSM_NAME: hop = name } = config as { NSM_NAME?: string };
  await run(name, { common: config, identity, hop }, (runtime) => start(config, runtime));
}

function refuse(faults: readonly string[]): void {
  process.stderr.write(`${faults.join('\n')}\n`);
  process.exitCode = 2;
}
