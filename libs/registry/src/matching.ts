import { isDeepStrictEqual } from 'node:util';
import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { render } from './template.ts';

type Labels = Readonly<Record<string, string>>;

/** A label; a missing one reads as empty, whatever a plain object inherits. */
const label = (labels: Labels, key: string): string =>
  Object.hasOwn(labels, key) ? (labels[key] ?? '') : '';

/**
 * Whether `a` has all of `b` (contract 3.11): never with fewer entries; a wanted value may be a Go text/template on
 * `vars`, the client's labels.
 */
export function subset(a: Labels, b: Labels, vars: Labels): boolean {
  const wanted = Object.entries(b);
  if (Object.keys(a).length < wanted.length) return false;
  return wanted.every(([key, want]) => {
    const have = label(a, key);
    return have === want || have === render(want, vars);
  });
}

/** The labels an endpoint carries for one of its services; none: empty. */
export const labelsFor = (endpoint: NetworkServiceEndpoint, service: string): Labels =>
  Object.hasOwn(endpoint.networkServiceLabels, service)
    ? (endpoint.networkServiceLabels[service]?.labels ?? {})
    : {};

/**
 * The endpoints that may serve a client (contract 3.11, MatchEndpoint), in the order of the service's routes; one that
 * two routes name is there twice.
 */
export function matchEndpoint(
  clientLabels: Labels,
  service: NetworkService,
  endpoints: readonly NetworkServiceEndpoint[],
): readonly NetworkServiceEndpoint[] {
  if (service.matches.length === 0) return endpoints;
  for (const match of service.matches) {
    if (!subset(clientLabels, match.sourceSelector, clientLabels)) continue;
    const candidates = match.routes.flatMap((route) =>
      endpoints.filter((endpoint) =>
        subset(labelsFor(endpoint, service.name), route.destinationSelector, clientLabels),
      ),
    );
    if (candidates.length > 0) return candidates;
    if (match.fallthrough) continue;
    // A match with metadata alone is there for choosing forwarders.
    return match.metadata && match.routes.length === 0 ? endpoints : [];
  }
  return [];
}

/** Whether a service passes a query (contract 6.1); empty fields pass all. */
export const matchesServiceQuery = (query: NetworkService, service: NetworkService): boolean =>
  (query.name === '' || query.name === service.name) &&
  (query.payload === '' || query.payload === service.payload) &&
  (query.matches.length === 0 || isDeepStrictEqual(query.matches, service.matches));

/** Whether an endpoint passes a query (contract 6.1): labels literally, the URL by substring, times by seconds. */
export const matchesEndpointQuery = (
  query: NetworkServiceEndpoint,
  endpoint: NetworkServiceEndpoint,
): boolean =>
  (query.name === '' || query.name === endpoint.name) &&
  endpoint.url.includes(query.url) &&
  query.networkServiceNames.every((name) => endpoint.networkServiceNames.includes(name)) &&
  (query.expirationTime === undefined ||
    query.expirationTime.seconds === endpoint.expirationTime?.seconds) &&
  Object.entries(query.networkServiceLabels).every(([service, { labels }]) => {
    const have = labelsFor(endpoint, service);
    return Object.entries(labels).every(
      ([key, want]) => Object.hasOwn(have, key) && have[key] === want,
    );
  });
