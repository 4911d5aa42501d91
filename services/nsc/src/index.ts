export type { Attempt } from './attempt.ts';
export { nscChain } from './chain.ts';
export { settings as nscSettings } from './config.ts';
export { createNsc } from './nsc.ts';
export type { Nsc, NscOptions } from './nsc.ts';
export { pingLiveness } from './liveness.ts';
export { keepWire, refreshAfter } from './wire.ts';
export type { Wire, WireOptions } from './wire.ts';
