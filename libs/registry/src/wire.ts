import {
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRegistryDefinition,
  type NetworkService,
  type NetworkServiceEndpoint,
} from '@nsm/proto';
import { isPassed, type CallOptions, type Descriptors, type Dialer } from '@nsm/rpc';
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
  const sockets = followSockets(dialer.sockets);
  return {
    register: (entry, options) => client.register(entry, options),
    unregister: async (entry, options) => {
      await client.unregister(entry, options);
    },
    find: async function* (networkServiceEndpoint, watch, options) {
      let line: Descriptors | undefined;
      const onConnection = (descriptors: Descriptors | undefined): void =>
        void (line = descriptors);
      for await (const found of client.find(
        { networkServiceEndpoint, watch },
        { ...options, onConnection },
      )) {
        const entry = found.networkServiceEndpoint;
        if (!entry) continue;
        await sockets.follow({ entry, deleted: found.deleted }, line);
        yield { entry, deleted: found.deleted };
      }
    },
  };
}

/** Holds the sockets of the endpoints that are found, by name, until they are gone or have another one. */
function followSockets(sockets: Dialer['sockets']) {
  const held = new Map<string, { url: string; release: () => void }>();
  return {
    follow: async (
      { entry, deleted }: Change<NetworkServiceEndpoint>,
      descriptors: Descriptors | undefined,
    ): Promise<void> => {
      const { name, url } = entry;
      const before = held.get(name);
      // It is sent with every answer; what is not taken is closed.
      if (before?.url === url && !deleted) return;
      held.delete(name);
      try {
        if (deleted || !isPassed(url)) return;
        const release = await sockets.receive(url, descriptors, new AbortController().signal);
        held.set(name, { url, release });
      } catch {
        // Whoever dials it hears that it has not come.
      } finally {
        before?.release();
      }
    },
  };
}
