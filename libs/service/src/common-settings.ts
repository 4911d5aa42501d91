import { logLevels } from './log.ts';
import { choice, duration } from './settings.ts';
import { telemetrySettings } from './telemetry/telemetry-settings.ts';

/** Settings that several services share, so that they mean the same everywhere. */
export const tokenLifetime = duration({
  fallback: '10m',
  help: 'how long a token of ours is valid; a wire that is not refreshed ends with it',
});

/** The settings every program has. */
export const commonSettings = {
  NSM_LOG_LEVEL: choice(
    { fallback: 'info', help: 'least severe log line; SIGUSR1 switches to trace, SIGUSR2 back' },
    ...logLevels,
  ),
  ...telemetrySettings,
};

export const netnsProof = choice(
  {
    fallback: 'descriptor',
    help: 'what has to be shown of a network namespace that is named: descriptor, one of it over the unix socket or to live there; lookup, nothing',
  },
  'descriptor',
  'lookup',
);
