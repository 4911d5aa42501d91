import { isDeepStrictEqual } from 'node:util';
import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { matchesEndpointQuery, matchesServiceQuery } from './matching.ts';

/** What both kinds of record have. */
export interface Entry {
  readonly name: string;
  readonly pathIds: string[];
}

/** What differs between the two kinds of record. */
export interface Kind<T extends Entry> {
  readonly noun: 'NetworkService' | 'NetworkServiceEndpoint';
  readonly codec: {
    encode(entry: T): { finish(): Uint8Array };
    decode(bytes: Uint8Array): T;
  };
  /** A complete query from some of its fields. */
  query(partial: Partial<T>): T;
  /** Contract 6.1. */
  matches(query: T, entry: T): boolean;
  /** Names under which an index groups an entry, and by which a query may ask: it has to match all of its own. */
  groups(entry: T): readonly string[];
  /** Whether two records of one name say the same to those who look them up; who registered it on which way aside. */
  same(a: T, b: T): boolean;
}

export const serviceKind: Kind<NetworkService> = {
  noun: 'NetworkService',
  codec: NetworkService,
  query: (partial) => ({ ...NetworkService.create(), ...partial }),
  matches: matchesServiceQuery,
  groups: () => [],
  same: (a, b) => a.payload === b.payload && isDeepStrictEqual(a.matches, b.matches),
};

export const endpointKind: Kind<NetworkServiceEndpoint> = {
  noun: 'NetworkServiceEndpoint',
  codec: NetworkServiceEndpoint,
  query: (partial) => ({ ...NetworkServiceEndpoint.create(), ...partial }),
  matches: matchesEndpointQuery,
  groups: ({ networkServiceNames }) => networkServiceNames,
  same: (a, b) =>
    a.url === b.url &&
    isDeepStrictEqual(a.expirationTime, b.expirationTime) &&
    isDeepStrictEqual(a.networkServiceNames, b.networkServiceNames) &&
    isDeepStrictEqual(a.networkServiceLabels, b.networkServiceLabels),
};
