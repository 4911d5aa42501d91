export { nscChain } from './chain.ts';
export { keepWire, refreshAfter } from './wire.ts';
export type { Attempt, Wire, WireOptions } from './wire.ts';
