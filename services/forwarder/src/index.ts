export { forwarderChain } from './chain.ts';
