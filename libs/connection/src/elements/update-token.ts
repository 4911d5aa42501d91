import { callerOf, type TokenSource } from '@nsm/identity';
import { NsmError } from '@nsm/rpc';
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
    return next({ ...call, connection: withSegment(connection, index, own) });
  },
});
