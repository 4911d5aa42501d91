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

/** Something that finds records of one kind. */
interface Finder<T> {
  find(query: Partial<T>, options?: LookupOptions): Promise<readonly T[]>;
}

/** A registry client, or a cache of one, as a {@link Discovery}. */
export const discoveryOf = (of: {
  readonly services: Finder<NetworkService>;
  readonly endpoints: Finder<NetworkServiceEndpoint>;
}): Discovery => ({
  services: (query, options) => of.services.find(query, options),
  endpoints: (query, options) => of.endpoints.find(query, options),
});
