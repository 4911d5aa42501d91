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
