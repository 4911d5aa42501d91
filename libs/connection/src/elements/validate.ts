import type { ConnectionElement } from '../call.ts';
import { checkConnection, checkRequest } from '../check-request.ts';

/** Refuses what is malformed or out of proportion before anything else sees it; the error names the field. */
export const validate = (): ConnectionElement => ({
  name: 'validate',
  async run(call, next) {
    if (call.op === 'request') checkRequest(call.connection, call.preferences);
    else checkConnection(call.connection);
    return next(call);
  },
});
