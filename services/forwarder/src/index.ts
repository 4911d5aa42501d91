export { forwarderChain } from './chain.ts';
export { createForwarder } from './forwarder.ts';
export type { Adoption, Forwarder, ForwarderOptions } from './forwarder.ts';
export { settings as forwarderSettings } from './config.ts';
