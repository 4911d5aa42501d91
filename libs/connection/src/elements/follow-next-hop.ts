import { slot } from '@nsm/chain';
import type { ConnectionElement } from '../call.ts';
import type { Peers } from '../peers.ts';

interface Followed {
  readonly url: string;
  readonly stop: () => void;
}
const followed = slot<Followed>('follow-next-hop');

/** Hears what becomes of an established connection at its next hop. Stands above `connect`, and acts once that has succeeded. */
export const followNextHop = (peers: Peers): ConnectionElement => ({
  name: 'follow-next-hop',
  async run(call, next) {
    const answer = await next(call);
    const { scope, target, connection } = call;
    if (target === undefined || scope.get(followed)?.url === target.url) return answer;
    await scope.drop(followed);
    const stop = peers.follow(target.url, connection.id);
    scope.hold(followed, { url: target.url, stop }, stop);
    return answer;
  },
});
