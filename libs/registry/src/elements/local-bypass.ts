import { slot } from '@nsm/chain';
import type { NetworkServiceEndpoint } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { withEntry, type RegistryElement } from '../call.ts';
import type { Change } from '../feed.ts';

/** Own URLs of the endpoints of this node, by name. */
export type LocalUrls = Map<string, string>;

const own = slot<string>('local-url');

/**
 * The registry above gets the manager's public URL for an endpoint of this node; its own URL stays here and goes back
 * into the answer (contract 6.7).
 */
export const localBypass = (
  urls: LocalUrls,
  publicUrl: string,
): RegistryElement<NetworkServiceEndpoint> => ({
  name: 'local-bypass',
  run: async (call, next) => {
    const { name, url } = call.entry;
    if (url === '')
      throw new NsmError('invalid-argument', 'cannot register NSE with passed URL: ', {
        hint: `set url of ${name} to where it listens`,
      });
    call.scope.hold(
      own,
      url,
      () => void urls.delete(name),
      (was) => void urls.set(name, was),
    );
    urls.set(name, url);
    const { entry, path } = await next(withEntry(call, { url: publicUrl }));
    return { entry: { ...entry, url }, path };
  },
});

/**
 * An endpoint of the registry above as clients of this node are to see it; undefined: not at all, since it says it is
 * here and is not, or not any more (contract 6.7, conformance 94).
 */
export function localView(
  urls: LocalUrls,
  publicUrl: string,
  { entry, deleted }: Change<NetworkServiceEndpoint>,
): NetworkServiceEndpoint | undefined {
  const url = urls.get(entry.name);
  if (url !== undefined) return { ...entry, url };
  return entry.url === publicUrl && !deleted ? undefined : entry;
}
