import { startCompose } from './compose.ts';
import { startMemory } from './memory.ts';
import { startNetns } from './netns.ts';
import type { StartWorld } from './world.ts';

/** Every scenario runs in each of these; in containers when scripts/test-compose.mjs asks for it. */
export const worlds: [string, StartWorld][] =
  process.env['NSM_TEST_DOCKER'] === undefined
    ? [
        ['memory', startMemory],
        ['network namespaces', startNetns],
      ]
    : [['containers', startCompose]];
