export { pause, systemClock } from './clock.ts';
export type { Clock } from './clock.ts';
export { chain, UndoError, untraced } from './chain.ts';
export type { BaseCall, Element, Next, Trace } from './chain.ts';
export { Scope, slot } from './scope.ts';
export type { Release, Slot } from './scope.ts';
