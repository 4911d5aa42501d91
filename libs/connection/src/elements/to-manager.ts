import type { ConnectionElement } from '../call.ts';

/** Goes on at the manager of this node: what a client does. */
export const toManager = (url: string): ConnectionElement => ({
  name: 'to-manager',
  run: (call, next) => next({ ...call, target: { name: 'nsmgr', url } }),
});
