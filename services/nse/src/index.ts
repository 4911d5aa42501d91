export { nseChain } from './chain.ts';
export { parseGroups } from './config.ts';
