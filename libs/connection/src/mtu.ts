import { ConnectionContext, type Connection } from '@nsm/proto';

/** The smaller of two MTUs, where 0 stands for not set. */
export const smallerMtu = (a: number, b: number): number =>
  a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);

/** The connection with its MTU lowered to `limit` octets (contract 4.7); never raised. */
export function limitMtu(connection: Connection, limit: number): Connection {
  const context = connection.context ?? ConnectionContext.create();
  const MTU = smallerMtu(context.MTU, limit);
  return MTU === context.MTU ? connection : { ...connection, context: { ...context, MTU } };
}
