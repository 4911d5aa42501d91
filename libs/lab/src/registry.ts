import {
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointQuery,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceQuery,
  NetworkServiceRegistryDefinition,
} from '@nsm/proto';
import type { HeadersFor, Dialer } from '@nsm/rpc';

const LIMIT_MS = 5_000;

/** Every service a registry (or a manager, as its front) knows, by name. @throws NsmError unavailable, deadline */
export async function findServices(dialer: Dialer, url: string): Promise<NetworkService[]> {
  const query = NetworkServiceQuery.create({ networkService: NetworkService.create() });
  const client = dialer.client(NetworkServiceRegistryDefinition, url);
  const found: NetworkService[] = [];
  for await (const { networkService } of client.find(query, { deadline: Date.now() + LIMIT_MS }))
    if (networkService) found.push(networkService);
  return found.sort(byName);
}

/** Every endpoint a registry (or a manager, as its front) knows, by name. @throws NsmError unavailable, deadline */
export async function findEndpoints(
  dialer: Dialer,
  url: string,
): Promise<NetworkServiceEndpoint[]> {
  const query = NetworkServiceEndpointQuery.create({
    networkServiceEndpoint: NetworkServiceEndpoint.create(),
  });
  const client = dialer.client(NetworkServiceEndpointRegistryDefinition, url);
  const found: NetworkServiceEndpoint[] = [];
  for await (const answer of client.find(query, { deadline: Date.now() + LIMIT_MS }))
    if (answer.networkServiceEndpoint) found.push(answer.networkServiceEndpoint);
  return found.sort(byName);
}

/** Registers services that endpoints may not; `headers` say who does. @throws NsmError */
export async function registerServices(
  dialer: Dialer,
  url: string,
  services: readonly NetworkService[],
  headers: HeadersFor | undefined,
): Promise<void> {
  const client = dialer.client(NetworkServiceRegistryDefinition, url);
  for (const service of services)
    await client.register(service, { deadline: Date.now() + LIMIT_MS, headers });
}

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
