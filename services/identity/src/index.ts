export { serveWorkloads } from './workloads.ts';
