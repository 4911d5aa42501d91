import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';

/** Entries of a registry, as tests write them. */
export const serviceOf = (
  name: string,
  more: Parameters<typeof NetworkService.fromPartial>[0] = {},
): NetworkService => NetworkService.fromPartial({ name, payload: 'IP', ...more });

export const endpointOf = (
  name: string,
  url: string,
  offers: string,
  labels: Record<string, string> = {},
): NetworkServiceEndpoint =>
  NetworkServiceEndpoint.fromPartial({
    name,
    url,
    networkServiceNames: [offers],
    networkServiceLabels: { [offers]: { labels } },
  });
