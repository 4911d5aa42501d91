export { nsmgrChain } from './chain.ts';
