import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';

/** How a lookup is made. */
export interface LookupOptions {
  readonly signal?: AbortSignal | undefined;
  /** In ms since 1970. */
  readonly deadline?: number | undefined;
}

/** Where services and endpoints are found: a registry, or what is known of it here. */
export interface Discovery {
  /** Services that match (contract 6.1); empty fields match all. */
  services(
    query: Partial<NetworkService>,
    options?: LookupOptions,
  ): Promise<readonly NetworkService[]>;
  endpoints(
    query: Partial<NetworkServiceEndpoint>,
    options?: LookupOptions,
  ): Promise<readonly NetworkServiceEndpoint[]>;
}

/** The service a connection asks for; undefined: not registered. */
export async function serviceOf(
  discovery: Discovery,
  name: string,
  payload: string,
  options: LookupOptions,
): Promise<NetworkService | undefined> {
  const found = await discovery.services({ name, ...(payload !== '' && { payload }) }, options);
  return found.find((service) => service.name === name);
}
