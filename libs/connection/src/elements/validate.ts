import type { ConnectionElement } from '../call.ts';
import { checkRequest } from '../check-request.ts';

/** Refuses what is malformed or out of proportion before anything else sees it; the error names the field. */
export const validate = (): ConnectionElement => ({
  name: 'validate',
  async run(call, next) {
    checkRequest(call.connection, call.preferences);
    return next(call);
  },
});
