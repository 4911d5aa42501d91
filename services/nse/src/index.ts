export { nseChain } from './chain.ts';
export { parseGroups } from './config.ts';
export { createNse } from './nse.ts';
export type { Nse, NseOptions } from './nse.ts';
export { followPoliciesFile } from './policies-file.ts';
export { settings as nseSettings } from './config.ts';
