export { nsmgrChain } from './chain.ts';
export { createNsmgr } from './nsmgr.ts';
export type { Nsmgr, NsmgrOptions } from './nsmgr.ts';
export { settings as nsmgrSettings } from './config.ts';
