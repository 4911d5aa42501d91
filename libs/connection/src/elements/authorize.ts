import { subjectOf } from '@nsm/identity';
import type { Clock } from '@nsm/chain';
import type { Policies } from '@nsm/policy';
import type { ConnectionElement } from '../call.ts';
import type { Connections } from '../connections.ts';
import { pathOf } from '../path.ts';

export interface AuthorizeOptions {
  readonly policies: Policies;
  readonly connections: Pick<Connections, 'get'>;
  readonly clock: Clock;
}

/**
 * Refuses what policies do not allow, requests and closes alike, before anything has been done (contract 2.10). Stands below
 * update-token: the tokens are those of the path up to this hop. Where connections prove nobody there is nothing to judge.
 */
export const authorize = ({
  policies,
  connections,
  clock,
}: AuthorizeOptions): ConnectionElement => ({
  name: 'authorize',
  async run(call, next) {
    const { op, peer, connection } = call;
    if (!peer) return next(call);
    const { index, pathSegments } = pathOf(connection);
    const there = connections.get(connection.id);
    policies.check({
      op,
      peer,
      tokens: pathSegments.slice(0, index + 1).map(({ token }) => token),
      index,
      now: clock.now(),
      connection,
      owner: there && subjectOf(pathOf(there).pathSegments[0]?.token ?? ''),
    });
    return next(call);
  },
});
