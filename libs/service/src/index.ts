export { followFile } from './follow-file.ts';
export type { FollowedFile } from './follow-file.ts';
export { createHealth } from './health.ts';
export type { Health } from './health.ts';
export { checkIdentity, identitySettings, openIdentity } from './identity.ts';
export { createLogger } from './log.ts';
export type { Logger } from './log.ts';
export { main } from './main.ts';
export { createObserver } from './observer.ts';
export type { Observer } from './observer.ts';
export type { Runtime } from './run.ts';
export {
  choice,
  describeSettings,
  duration,
  flag,
  integer,
  list,
  map,
  readSettings,
  SettingsError,
  text,
  url,
  urls,
} from './settings.ts';
export type { Setting, Settings, Values } from './settings.ts';
export { provenSettings } from './proven-settings.ts';
export { commonSettings, netnsProof, tokenLifetime } from './common-settings.ts';
export {
  countRequests,
  logUndoFailure,
  reportOutcome,
  reportRegistration,
  tellConnections,
} from './report.ts';
export { instruments } from './telemetry/instruments.ts';
export { openTelemetry } from './telemetry/telemetry.ts';
export { telemetrySettings } from './telemetry/telemetry-settings.ts';
export type { Metrics, Reading } from './telemetry/metrics.ts';
