import { type Connection, type PathSegment, State } from '@nsm/proto';

/** A wire as a person thinks of it: from a client's interface to an endpoint. All fields are text or numbers. */
export interface Wire {
  readonly client: string;
  /** The client's id of the connection. */
  readonly connection: string;
  readonly service: string;
  readonly endpoint: string;
  /** Node of the client; "" when its manager was not asked. */
  readonly node: string;
  /** Node of the endpoint; "" when its manager was not asked, or did not answer. */
  readonly endpointNode: string;
  /** `kernel` on one node; the tunnel with its number between two, as `vxlan 4711`. */
  readonly mechanism: string;
  readonly payload: string;
  readonly state: 'up' | 'down' | 'healing';
  /** The client's interface. */
  readonly interface: string;
  readonly clientAddresses: readonly string[];
  readonly endpointAddresses: readonly string[];
  readonly mtu: number;
  /** Names of the hops. */
  readonly path: readonly string[];
  /** What the client's interface had carried at the last Request; null where no hop has told. */
  readonly traffic: Traffic | null;
}

/** Counters of a client's interface, as it sees them itself. */
interface Traffic {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly errors: number;
  readonly drops: number;
}

/** What the managers of a mesh know, put together to one entry per wire. Keys are names of nodes. */
export function wiresFrom(connections: Readonly<Record<string, readonly Connection[]>>): Wire[] {
  const wires = new Map<string, Sighting[]>();
  for (const [node, list] of Object.entries(connections))
    for (const connection of list) {
      const [first] = connection.path?.pathSegments ?? [];
      const id = JSON.stringify([first?.name, first?.id, connection.networkService]);
      wires.set(id, [...(wires.get(id) ?? []), { node, connection }]);
    }
  return [...wires.values()]
    .flatMap((sightings) => {
      // The manager next to the client is the second hop of a path.
      const near = sightings.find(({ connection }) => connection.path?.index === 1);
      const others = sightings.filter((sighting) => sighting !== near);
      // Others may be behind the endpoint, where it passes on.
      const far = near ? others.find((other) => sameEndpoint(other, near)) : others[0];
      const seen = near ?? far;
      return seen === undefined ? [] : [wireOf(seen, near, far)];
    })
    .sort((a, b) => key(a).localeCompare(key(b)));
}

/** A connection as the manager of a node knows it. */
interface Sighting {
  readonly node: string;
  readonly connection: Connection;
}

const sameEndpoint = ({ connection: one }: Sighting, { connection: another }: Sighting): boolean =>
  one.networkServiceEndpointName === another.networkServiceEndpointName;

function wireOf(
  { connection }: Sighting,
  near: Sighting | undefined,
  far: Sighting | undefined,
): Wire {
  const segments = connection.path?.pathSegments ?? [];
  const [first] = segments;
  const local = segments[3]?.name === connection.networkServiceEndpointName;
  const ip = connection.context?.ipContext;
  return {
    client: first?.name ?? '',
    connection: first?.id ?? '',
    service: connection.networkService,
    endpoint: connection.networkServiceEndpointName,
    node: near?.node ?? '',
    endpointNode: (local ? near?.node : far?.node) ?? '',
    mechanism: mechanismOf((local ? near : far)?.connection),
    payload: connection.payload,
    state: stateOf(connection.state),
    interface: near?.connection.mechanism?.parameters['name'] ?? '',
    clientAddresses: ip?.srcIpAddrs ?? [],
    endpointAddresses: ip?.dstIpAddrs ?? [],
    mtu: connection.context?.MTU ?? 0,
    path: segments.map(({ name }) => name),
    traffic: trafficOf(segments),
  };
}

/** The forwarder next to the client counts; what it has received from that side the client has sent (contract 8.2). */
function trafficOf(segments: readonly PathSegment[]): Traffic | null {
  const metrics = segments.find(({ metrics: m }) => 'server_rx_bytes' in m)?.metrics;
  if (metrics === undefined) return null;
  const count = (key: string): number => Number(metrics[`server_${key}`] ?? 0);
  return {
    rxBytes: count('tx_bytes'),
    txBytes: count('rx_bytes'),
    rxPackets: count('tx_packets'),
    txPackets: count('rx_packets'),
    errors: count('errors'),
    drops: count('drops'),
  };
}

const key = ({ client, connection }: Wire): string => `${client} ${connection}`;

function mechanismOf(connection: Connection | undefined): string {
  const { type = '', parameters = {} } = connection?.mechanism ?? {};
  const vni = parameters['vni'];
  return [type.toLowerCase(), ...(vni === undefined ? [] : [vni])].join(' ');
}

const stateOf = (state: Connection['state']): Wire['state'] =>
  state === State.UP ? 'up' : state === State.DOWN ? 'down' : 'healing';
