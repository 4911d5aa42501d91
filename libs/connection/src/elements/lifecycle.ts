import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import type { Connections } from '../connections.ts';

/**
 * One queue and one scope per connection. What stands above guards requests and closes alike; a close goes no further,
 * it unwinds what the elements below hold.
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
    if (call.op === 'request') return connections.request(call, next);
    await connections.close(id);
    return call.connection;
  },
});
