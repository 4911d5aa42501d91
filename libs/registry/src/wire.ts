import {
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRegistryDefinition,
  type NetworkService,
  type NetworkServiceEndpoint,
} from '@nsm/proto';
import type { CallOptions, Dialer } from '@nsm/rpc';
import type { Change } from './feed.ts';
import type { Entry } from './kind.ts';

/** The three calls of a registry service, alike for both kinds of record. */
export interface Wire<T extends Entry> {
  register(entry: T, options: CallOptions): Promise<T>;
  unregister(entry: T, options: CallOptions): Promise<void>;
  find(query: T, watch: boolean, options: CallOptions): AsyncIterable<Change<T>>;
}

export function serviceWire(dialer: Dialer, url: string): Wire<NetworkService> {
  const client = dialer.client(NetworkServiceRegistryDefinition, url);
  return {
    register: (entry, options) => client.register(entry, options),
    unregister: async (entry, options) => {
      await client.unregister(entry, options);
    },
    find: async function* (networkService, watch, options) {
      for await (const found of client.find({ networkService, watch }, options))
        if (found.networkService) yield { entry: found.networkService, deleted: found.deleted };
    },
  };
}

export function endpointWire(dialer: Dialer, url: string): Wire<NetworkServiceEndpoint> {
  const client = dialer.client(NetworkServiceEndpointRegistryDefinition, url);
  return {
    register: (entry, options) => client.register(entry, options),
    unregister: async (entry, options) => {
      await client.unregister(entry, options);
    },
    find: async function* (networkServiceEndpoint, watch, options) {
      for await (const found of client.find({ networkServiceEndpoint, watch }, options)) {
        const entry = found.networkServiceEndpoint;
        if (entry) yield { entry, deleted: found.deleted };
      }
    },
  };
}
