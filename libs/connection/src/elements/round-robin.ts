import { slot, type Clock } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { withConnection } from '../call.ts';
import { tryEach } from '../try-each.ts';

/** How long who could not be reached is asked after the others, in ms: the registry may name a dead one for a minute. */
const SHUN_MS = 10_000;

/** Who was chosen. */
const chosen = slot<string>('round-robin');

/**
 * Takes the candidates in turn, starting one further for each new choice; one that refuses is followed by the next. Who could not be
 * reached a moment ago comes last: a machine that has vanished costs each request the time to find out. A connection keeps whom it has where its
 * caller does not say: one that passes on has forgotten it when it comes back.
 */
export const roundRobin = (clock: Pick<Clock, 'now'>): ConnectionElement => {
  const starts = new Map<string, number>();
  /** Until when, by URL, or by name where the URL was reached and the endpoint behind it was not, in ms since 1970. */
  const shunned = new Map<string, number>();
  const shuns = (key: string): boolean => (shunned.get(key) ?? 0) > clock.now();
  const shun = (key: string): void => {
    for (const [other, until] of shunned) if (until <= clock.now()) shunned.delete(other);
    shunned.set(key, clock.now() + SHUN_MS);
  };
  return {
    name: 'round-robin',
    run(call, next) {
      const candidates = call.candidates ?? [];
      const service = call.connection.networkService;
      const start = candidates.length > 1 ? (starts.get(service) ?? 0) % candidates.length : 0;
      if (candidates.length > 1) starts.set(service, start + 1);
      const turned = [...candidates.slice(start), ...candidates.slice(0, start)];
      const held = call.scope.get(chosen);
      const inTurn = [
        ...turned.filter(({ name }) => name === held),
        ...turned.filter(({ name }) => name !== held),
      ];
      const last = inTurn.filter(({ name, url }) => shuns(name) || shuns(url));
      return tryEach(
        [...inTurn.filter((candidate) => !last.includes(candidate)), ...last],
        { what: 'endpoint', none: 'all candidates have failed' },
        async ({ name, url }) => {
          try {
            const answer = await next({
              ...withConnection(call, { networkServiceEndpointName: name }),
              target: { name, url },
            });
            shunned.delete(url);
            shunned.delete(name);
            call.scope.keep(chosen, name);
            return answer;
          } catch (thrown) {
            const { code, hop } = NsmError.from(thrown);
            if (code === 'unavailable') shun(hop === undefined ? url : name);
            throw thrown;
          }
        },
      );
    },
  };
};
