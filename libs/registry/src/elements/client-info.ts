import type { NetworkServiceEndpoint } from '@nsm/proto';
import { withEntry, type RegistryElement } from '../call.ts';

/** Adds labels that say where an endpoint runs to each of its labelled services; its own values win (contract 6.7). */
export const clientInfo = (
  labels: Readonly<Record<string, string>>,
): RegistryElement<NetworkServiceEndpoint> => ({
  name: 'client-info',
  run: (call, next) => {
    const networkServiceLabels = Object.fromEntries(
      Object.entries(call.entry.networkServiceLabels).map(([service, given]) => [
        service,
        { labels: { ...labels, ...given.labels } },
      ]),
    );
    return next(withEntry(call, { networkServiceLabels }));
  },
});
