import { subjectOf, type TokenSource } from '@nsm/identity';
import type { ConnectionElement } from '../call.ts';

/**
 * From here on the caller is this process itself, as a client. Stands above its second update-path and update-token: the token of its
 * first segment is meant for the second one, so that the tokens of the path chain (contract 2.4).
 */
export const asClient = (tokens: TokenSource): ConnectionElement => ({
  name: 'as-client',
  async run(call, next) {
    const own = await tokens.issue(undefined);
    const spiffeId = subjectOf(own.token);
    const token = spiffeId === undefined ? own : await tokens.issue({ spiffeId });
    return next({ ...call, peer: undefined, descriptors: undefined, token });
  },
});
