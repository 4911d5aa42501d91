import { INTERFACE_NAME, KERNEL, NETNS_URL, type ConnectionElement } from '@nsm/connection';
import type { Leftovers } from './sweep.ts';

/** Takes away what an earlier process has left under the name of the caller's interface, before the kernel is asked for it. */
export const makeRoom = (leftovers: () => Pick<Leftovers, 'makeRoom'>): ConnectionElement => ({
  name: 'make-room',
  async run(call, next) {
    const { id, mechanism } = call.connection;
    const { [NETNS_URL]: netns, [INTERFACE_NAME]: name } = mechanism?.parameters ?? {};
    if (mechanism?.type === KERNEL && netns !== undefined && name !== undefined)
      await leftovers().makeRoom(id, netns, name);
    return next(call);
  },
});
