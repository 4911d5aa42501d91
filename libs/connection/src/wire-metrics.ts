import type { Ensured } from '@nsm/datapath';
import type { Connection } from '@nsm/proto';
import { ownSegment, pathOf, withSegment } from './path.ts';

type Counters = NonNullable<Ensured['counters']['client']>;

/**
 * The connection with the counters of its wire in the metrics of this hop's segment (contract 8.2). `server_` is the leg towards the
 * caller, `client_` the one towards the endpoint, and received (`rx`) is what came from that side, as a forwarder that carries
 * packets itself would count: what the client's interface has sent is `server_rx`.
 */
export function measured(connection: Connection, counters: Ensured['counters']): Connection {
  const segment = ownSegment(connection);
  if (segment === undefined) return connection;
  const { client, endpoint } = counters;
  // Of a tunnel one end is here, and what it receives came through the other leg.
  const server = client ? turned(client) : endpoint;
  const onward = endpoint ? turned(endpoint) : client;
  const metrics = {
    ...segment.metrics,
    ...(connection.mechanism ? { client_interface: interfaceOf(connection.mechanism) } : {}),
    ...legMetrics('server', server),
    ...legMetrics('client', onward),
  };
  return withSegment(connection, pathOf(connection).index, { metrics });
}

/** How a leg is called in metrics: `<TYPE>/<name>`. */
const interfaceOf = ({ type, parameters }: NonNullable<Connection['mechanism']>): string =>
  `${type}/${parameters['name'] ?? 'unknown'}`;

/** The same traffic seen from the other end. */
const turned = (counters: Counters): Counters => ({
  rxPackets: counters.txPackets,
  txPackets: counters.rxPackets,
  rxBytes: counters.txBytes,
  txBytes: counters.rxBytes,
  rxErrors: counters.txErrors,
  txErrors: counters.rxErrors,
  rxDropped: counters.txDropped,
  txDropped: counters.rxDropped,
});

/** Decimal numbers; a wire that was just made has carried nothing. */
function legMetrics(
  leg: 'server' | 'client',
  counters: Counters | undefined,
): Record<string, string> {
  const { rxBytes = 0n, txBytes = 0n, rxPackets = 0n, txPackets = 0n } = counters ?? {};
  const { rxErrors = 0n, txErrors = 0n, rxDropped = 0n, txDropped = 0n } = counters ?? {};
  return {
    [`${leg}_rx_bytes`]: String(rxBytes),
    [`${leg}_tx_bytes`]: String(txBytes),
    [`${leg}_rx_packets`]: String(rxPackets),
    [`${leg}_tx_packets`]: String(txPackets),
    [`${leg}_errors`]: String(rxErrors + txErrors),
    [`${leg}_drops`]: String(rxDropped + txDropped),
  };
}
