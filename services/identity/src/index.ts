export { settings as identityServerSettings } from './config.ts';
export { serveWorkloads } from './workloads.ts';
