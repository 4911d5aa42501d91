import { duration } from './settings.ts';

/** Settings that several services share, so that they mean the same everywhere. */
export const tokenLifetime = duration({
  fallback: '10m',
  help: 'how long a token of ours is valid; a wire that is not refreshed ends with it',
});
