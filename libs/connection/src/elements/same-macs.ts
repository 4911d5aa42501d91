import { macFor } from '@nsm/datapath';
import { ConnectionContext, EthernetContext } from '@nsm/proto';
import { withConnection, type ConnectionElement } from '../call.ts';
import { pathOf } from '../path.ts';

/**
 * Settles the link-layer addresses of a connection (contract 1.4, ethernet_context) where nobody has: the wires of its path then have
 * the same ones at their ends, and frames pass from one to the next as they are. They follow from the origin of the path.
 */
export const sameMacs = (): ConnectionElement => ({
  name: 'same-macs',
  run(call, next) {
    const context = call.connection.context ?? ConnectionContext.create();
    const asked = context.ethernetContext ?? EthernetContext.create();
    const { srcMac, dstMac } = asked;
    const origin = pathOf(call.connection).pathSegments[0]?.id ?? '';
    const ethernetContext = {
      ...asked,
      srcMac: srcMac === '' ? macFor(`${origin}/client`) : srcMac,
      dstMac: dstMac === '' ? macFor(`${origin}/endpoint`) : dstMac,
    };
    return next(withConnection(call, { context: { ...context, ethernetContext } }));
  },
});
