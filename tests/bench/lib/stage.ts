import {
  createDatapath,
  createWireguard,
  type Datapath,
  type WireguardDevices,
} from '@nsm/datapath';
import { createPlaces, joinNodes, type Place, type Places } from './places.ts';

/** Two nodes with a network between them, a pod on each, and a data path for each. */
export interface Stage {
  readonly places: Places;
  readonly client: Node;
  readonly endpoint: Node;
  /** The program that WireGuard devices are made with. */
  readonly wireguardGo: string;
  close(): Promise<void>;
}

export interface Node {
  readonly node: Place;
  readonly pod: Place;
  readonly datapath: Datapath;
  readonly devices: WireguardDevices;
}

export function createStage(): Stage {
  const places = createPlaces();
  const wireguardGo = process.env['NSM_WIREGUARD_GO'] ?? 'wireguard-go';
  const nodeOf = (name: string): Node => {
    const node = places.make(name);
    const devices = createWireguard({ command: wireguardGo, node: node.path });
    return {
      node,
      pod: places.make(`${name}-pod`),
      devices,
      datapath: createDatapath({ node: node.path, wireguard: devices }),
    };
  };
  const [client, endpoint] = [nodeOf('client'), nodeOf('endpoint')];
  joinNodes([
    [client.node, '192.0.2.1/24'],
    [endpoint.node, '192.0.2.2/24'],
  ]);
  return {
    places,
    client,
    endpoint,
    wireguardGo,
    close: async () => {
      for (const { datapath } of [client, endpoint]) await datapath.close();
      places.close();
    },
  };
}
