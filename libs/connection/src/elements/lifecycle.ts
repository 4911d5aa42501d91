import { slot } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import type { Connections } from '../connections.ts';

/** A connection that this very request has made. */
const made = slot<string>('lifecycle');

/**
 * One queue and one scope per connection. What stands above guards requests and closes alike; a close goes no further,
 * it unwinds what the elements below hold. A connection that a request has made is closed again when what stands above
 * fails, or nobody is left to hear the answer: its caller does not know its id.
 */
export const lifecycle = (connections: Connections): ConnectionElement => ({
  name: 'lifecycle',
  async run(call, next) {
    const { id } = call.connection;
    if (id === '')
      throw new NsmError(
        'invalid-argument',
        'request.EventFactory.Id must not be zero valued: connection.id is empty',
      );
    if (call.op === 'request') {
      const { connection, first } = await connections.request(call, next);
      if (first) call.scope.hold(made, id, () => connections.close(id));
      return connection;
    }
    await connections.close(id);
    return call.connection;
  },
});
