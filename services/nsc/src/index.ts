export { nscChain } from './chain.ts';
export { settings as nscSettings } from './config.ts';
export { createNsc } from './nsc.ts';
export type { Nsc, NscOptions } from './nsc.ts';
export { keepWire, refreshAfter } from './wire.ts';
export type { Attempt, Wire, WireOptions } from './wire.ts';
