import type { Clock } from '@nsm/chain';
import { tokenHeaders, type TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import type { CallOptions, Dialer, HeadersFor, Peer } from '@nsm/rpc';
import type { Registered } from './call.ts';
import type { LookupOptions } from './discovery.ts';
import type { Change } from './feed.ts';
import { endpointKind, serviceKind, type Entry, type Kind } from './kind.ts';
import {
  emptyPath,
  formatPath,
  parsePath,
  PATH_HEADER,
  type RegistryPath,
} from './registry-path.ts';
import { followMatches, watchEvents, type WatchEvent, type WatchSource } from './watch.ts';
import { endpointWire, serviceWire, type Wire } from './wire.ts';

/** How a registration is made. */
export interface RegisterOptions extends LookupOptions {
  /** What the last answer for this entry carried; left out: a first call. */
  readonly path?: RegistryPath | undefined;
}

/** One registry service, called. Failures are NsmErrors. Without a deadline a call other than a watch has 15 s. */
export interface KindClient<T extends Entry> {
  readonly kind: Kind<T>;
  /** All that match (contract 6.1). */
  find(query: Partial<T>, options?: LookupOptions): Promise<readonly T[]>;
  findFirst(query: Partial<T>, options?: LookupOptions): Promise<T | undefined>;
  /** Adds or replaces; answers what the registry made of it, and the path to send with the next call for it. */
  register(entry: T, options?: RegisterOptions): Promise<Registered<T>>;
  /** Removes; of an unknown name too. */
  unregister(entry: T, options?: RegisterOptions): Promise<void>;
  /** The matches and their changes until the signal aborts, over breaks of the connection; nothing is missed. */
  watch(query: Partial<T>, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
  /** As `watch`, by callback. Resolves after the signal aborted. */
  follow(
    query: Partial<T>,
    signal: AbortSignal,
    tell: (event: WatchEvent<T>) => void,
  ): Promise<void>;
  /** One stream of a Find as it comes from the wire. */
  stream(query: Partial<T>, watch: boolean, options: LookupOptions): AsyncIterable<Change<T>>;
}

/** A registry, called. */
export interface RegistryClient {
  readonly services: KindClient<NetworkService>;
  readonly endpoints: KindClient<NetworkServiceEndpoint>;
}

export interface RegistryClientOptions {
  readonly tokens: TokenSource;
  /** Judge what is answered (contract 2.10). */
  readonly policies: Policies;
  readonly clock: Clock;
  /** A number in [0, 1). */
  random(): number;
}

/** Contract 6.5: time for one attempt, in ms. */
export const ATTEMPT_MS = 15_000;

/** A client of the registry at `url`; connections are the dialer's. */
export const registryClient = (
  dialer: Dialer,
  url: string,
  options: RegistryClientOptions,
): RegistryClient => ({
  services: kindClient(serviceKind, serviceWire(dialer, url), options),
  endpoints: kindClient(endpointKind, endpointWire(dialer, url), options),
});

function kindClient<T extends Entry>(
  kind: Kind<T>,
  wire: Wire<T>,
  options: RegistryClientOptions,
): KindClient<T> {
  const { tokens, policies, clock } = options;
  const limited = ({ signal, deadline }: LookupOptions): CallOptions => ({
    signal,
    deadline: deadline ?? clock.now() + ATTEMPT_MS,
  });
  const source = (query: Partial<T>): WatchSource<T> => ({
    stream: (signal) => wire.find(kind.query(query), true, { signal, keepalive: true }),
    find: (signal) => client.find(query, { signal }),
  });
  const client: KindClient<T> = {
    kind,
    find: async (query, options = {}) => {
      const found: T[] = [];
      for await (const { entry } of wire.find(kind.query(query), false, limited(options)))
        found.push(entry);
      return found;
    },
    findFirst: async (query, options = {}) => {
      for await (const { entry } of wire.find(kind.query(query), false, limited(options)))
        return entry;
      return undefined;
    },
    register: async (entry, { path = emptyPath, ...options } = {}) => {
      const headers = pathHeaders(tokens, path);
      let answered = path;
      let server: Peer | undefined;
      const registered = await wire.register(entry, {
        ...limited(options),
        headers: (peer) => headers((server = peer)),
        onHeaders: (header) => (answered = answeredPath(header(PATH_HEADER)) ?? path),
      });
      if (server)
        try {
          policies.check({
            op: 'answer',
            peer: server,
            tokens: answered.tokens,
            index: answered.index,
            now: clock.now(),
            entry: registered,
          });
        } catch (err) {
          // A first registration is taken back; it expires there where that fails too.
          if (path === emptyPath)
            await wire
              .unregister(registered, { ...limited(options), headers })
              .catch(() => undefined);
          throw err;
        }
      return { entry: registered, path: answered };
    },
    unregister: async (entry, { path = emptyPath, ...options } = {}) => {
      const headers = pathHeaders(tokens, path);
      await wire.unregister(entry, { ...limited(options), headers });
    },
    watch: (query, signal) => watchEvents(source(query), options, signal),
    follow: (query, signal, tell) => followMatches(source(query), options, signal, tell),
    stream: (query, watch, options) => wire.find(kind.query(query), watch, options),
  };
  return client;
}

/** Contract 2.8: a token for whoever answers, with every call. */
const pathHeaders =
  (tokens: TokenSource, path: RegistryPath): HeadersFor =>
  async (server) => ({
    ...tokenHeaders(await tokens.issue(server)),
    [PATH_HEADER]: formatPath(path),
  });

/** The entry is registered whatever its path looks like: an unreadable one is left. */
function answeredPath(header: string | undefined): RegistryPath | undefined {
  try {
    return header === undefined ? undefined : parsePath(header);
  } catch {
    return undefined;
  }
}
