import type { Connections } from '@nsm/connection';
import { millis } from '@nsm/identity';
import type { Connection, NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { matchEndpoint, type Discovery } from '@nsm/registry';

export interface ServiceMonitorOptions {
  readonly connections: Connections;
  readonly discovery: Discovery;
  /** ms since 1970. */
  readonly now: () => number;
  /** Told of each connection that is closed. */
  readonly onMoved: (id: string, service: string, endpoint: string) => void;
  readonly onFault: (err: unknown) => void;
}

/** What is to be told of changes in the registry, and of connections that were not there before. */
export interface ServiceMonitor {
  /** Its endpoint was chosen by rules that may have changed meanwhile, or its caller has named it. */
  connection(made: Connection): void;
  service(changed: NetworkService): void;
  endpoint(change: { readonly entry: NetworkServiceEndpoint; readonly deleted: boolean }): void;
}

/**
 * Closes the connections whose endpoint no longer fits the rules of their service, because these have changed or its labels have
 * (contract 3.7, netsvcmonitor), and those of an endpoint that was unregistered while another one would serve them: their clients
 * then ask anew. One whose registration only ended, as in a partition, is left to those who can see whether it lives.
 */
export function monitorServices(options: ServiceMonitorOptions): ServiceMonitor {
  const { connections, discovery, now, onMoved, onFault } = options;

  const close = async ({
    id,
    networkService: service,
    networkServiceEndpointName: name,
  }: Connection): Promise<void> => {
    onMoved(id, service, name);
    await connections.close(id, {
      cause: 'its endpoint was unregistered, or does not fit the rules of the service',
    });
  };

  const fits = (
    { labels, networkService }: Connection,
    service: NetworkService,
    endpoint: NetworkServiceEndpoint,
  ): boolean =>
    (endpoint.networkServiceNames.length === 0 ||
      endpoint.networkServiceNames.includes(networkService)) &&
    matchEndpoint(labels, service, [endpoint]).length > 0;

  const serviceOf = async (name: string): Promise<NetworkService | undefined> =>
    (await discovery.services({ name })).find((found) => found.name === name);

  const checkConnection = async (made: Connection): Promise<void> => {
    const { networkService, networkServiceEndpointName: name } = made;
    const service = await serviceOf(networkService);
    const [endpoint] = name === '' ? [] : await discovery.endpoints({ name });
    if (service && endpoint && matchEndpoint(made.labels, service, [endpoint]).length === 0)
      await close(made);
  };

  const checkService = async (service: NetworkService): Promise<void> => {
    const mine = connections
      .list()
      .filter(
        ({ networkService, networkServiceEndpointName }) =>
          networkService === service.name && networkServiceEndpointName !== '',
      );
    for (const connection of mine) {
      const [endpoint] = await discovery.endpoints({ name: connection.networkServiceEndpointName });
      if (endpoint && !fits(connection, service, endpoint)) await close(connection);
    }
  };

  const checkEndpoint = async (
    entry: NetworkServiceEndpoint,
    unregistered: boolean,
  ): Promise<void> => {
    const mine = connections
      .list()
      .filter(({ networkServiceEndpointName }) => networkServiceEndpointName === entry.name);
    for (const connection of mine) {
      const { networkService: name, labels } = connection;
      const service = await serviceOf(name);
      if (!service) continue;
      if (!unregistered) {
        if (!fits(connection, service, entry)) await close(connection);
        continue;
      }
      const others = await discovery.endpoints({ networkServiceNames: [name] });
      const alive = others.filter((other) => other.name !== entry.name && !ended(other, now()));
      if (matchEndpoint(labels, service, alive).length > 0) await close(connection);
    }
  };

  return {
    connection: (made) => void checkConnection(made).catch(onFault),
    service: (changed) => void checkService(changed).catch(onFault),
    endpoint: ({ entry, deleted }) => {
      if (!deleted || !ended(entry, now())) void checkEndpoint(entry, deleted).catch(onFault);
    },
  };
}

const ended = ({ expirationTime }: NetworkServiceEndpoint, now: number): boolean =>
  expirationTime !== undefined && millis(expirationTime) <= now;
