import type { Connections } from '@nsm/connection';
import type { NetworkService } from '@nsm/proto';
import { matchEndpoint, type Discovery } from '@nsm/registry';

export interface ServiceMonitorOptions {
  readonly connections: Connections;
  readonly discovery: Discovery;
  /** Told of each connection that is closed. */
  readonly onMoved: (id: string, service: string, endpoint: string) => void;
  readonly onFault: (err: unknown) => void;
}

/**
 * Closes the connections whose endpoint no longer fits the rules of their service, when these change (contract 3.7,
 * netsvcmonitor): their clients then ask anew. One watch serves all connections.
 */
export function monitorServices({
  connections,
  discovery,
  onMoved,
  onFault,
}: ServiceMonitorOptions): (service: NetworkService) => void {
  const check = async (service: NetworkService): Promise<void> => {
    const mine = connections
      .list()
      .filter(
        ({ networkService, networkServiceEndpointName }) =>
          networkService === service.name && networkServiceEndpointName !== '',
      );
    for (const { id, labels, networkServiceEndpointName: name } of mine) {
      const [endpoint] = await discovery.endpoints({ name });
      if (!endpoint || matchEndpoint(labels, service, [endpoint]).length > 0) continue;
      onMoved(id, service.name, name);
      await connections.close(id);
    }
  };
  return (service) => void check(service).catch(onFault);
}
