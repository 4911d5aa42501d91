import { startMemory } from './memory.ts';
import { startNetns } from './netns.ts';
import type { StartWorld } from './world.ts';

/** Every scenario runs in each of these. */
export const worlds: [string, StartWorld][] = [
  ['memory', startMemory],
  ['network namespaces', startNetns],
];
