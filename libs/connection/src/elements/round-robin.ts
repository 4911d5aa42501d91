import type { ConnectionElement } from '../call.ts';
import { withConnection } from '../call.ts';
import { tryEach } from '../try-each.ts';

/** Takes the candidates in turn, starting one further for each new choice; one that refuses is followed by the next. */
export const roundRobin = (): ConnectionElement => {
  const starts = new Map<string, number>();
  return {
    name: 'round-robin',
    run(call, next) {
      const candidates = call.candidates ?? [];
      const service = call.connection.networkService;
      const start = candidates.length > 1 ? (starts.get(service) ?? 0) % candidates.length : 0;
      if (candidates.length > 1) starts.set(service, start + 1);
      const inTurn = [...candidates.slice(start), ...candidates.slice(0, start)];
      return tryEach(
        inTurn,
        { what: 'endpoint', none: 'all candidates have failed' },
        ({ name, url }) =>
          next({
            ...withConnection(call, { networkServiceEndpointName: name }),
            target: { name, url },
          }),
      );
    },
  };
};
