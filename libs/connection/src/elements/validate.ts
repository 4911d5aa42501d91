import type { ConnectionElement } from '../call.ts';
import { checkConnection, checkRequest } from '../check-request.ts';

/** Longest path that is taken where nobody says otherwise. */
const MAX_PATH = 64;

/** Refuses what is malformed or out of proportion before anything else sees it; the error names the field. */
export const validate = (maxPath = MAX_PATH): ConnectionElement => ({
  name: 'validate',
  async run(call, next) {
    if (call.op === 'request') checkRequest(call.connection, call.preferences, maxPath);
    else checkConnection(call.connection, maxPath);
    return next(call);
  },
});
