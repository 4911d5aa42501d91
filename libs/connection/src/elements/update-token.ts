import { audienceOf, callerOf, type TokenSource } from '@nsm/identity';
import type { Connection } from '@nsm/proto';
import { NsmError, type Peer } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { pathOf, withSegment } from '../path.ts';

/**
 * Writes the caller's token, as it came with the call, into the caller's segment, and this hop's own token for the caller
 * into its own (contract 2.4). Stands below update-path, whose index it uses.
 */
export const updateToken = (tokens: TokenSource): ConnectionElement => ({
  name: 'update-token',
  async run(call, next) {
    const { index, pathSegments } = pathOf(call.connection);
    if (index >= pathSegments.length)
      throw new NsmError(
        'invalid-argument',
        `NetworkServiceRequest.Connection.Path.Index(${index}) >= len(NetworkServiceRequest.Connection.Path.PathSegments)(${pathSegments.length})`,
      );
    let { connection } = call;
    if (call.token && index > 0) connection = withSegment(connection, index - 1, call.token);
    const own = await tokens.issue(callerOf(call.peer, call.token));
    const answer = await next({ ...call, connection: withSegment(connection, index, own) });
    return signedAsSeen(answer, index, { tokens, caller: call.peer });
  },
});

/**
 * The next hop has left the token it was sent in our segment, and the caller verifies it by the certificate it has seen, which this
 * process may have changed between the two connections.
 */
async function signedAsSeen(
  answer: Connection,
  index: number,
  { tokens, caller }: { readonly tokens: TokenSource; readonly caller: Peer | undefined },
): Promise<Connection> {
  const segment = answer.path?.pathSegments[index];
  const audience = segment && audienceOf(segment.token);
  if (caller?.shown === undefined || audience === undefined) return answer;
  const { token } = await tokens.issue({ spiffeId: audience, shown: caller.shown });
  return withSegment(answer, index, { token });
}
