import { duration, integer, text, tokenLifetime, url, urls, type Setting } from '@nsm/service';

/** Where the registry keeps what is registered. */
export type StoreSetting =
  { readonly engine: 'memory' } | { readonly engine: 'sqlite'; readonly path: string };

/** Reads `memory` or `sqlite:/path/file.db`. */
export function parseStore(text: string): StoreSetting {
  if (text === 'memory') return { engine: 'memory' };
  if (!text.startsWith('sqlite:')) throw new Error('no such store');
  const path = text.slice('sqlite:'.length);
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0'))
    throw new Error('its path is not an absolute one of a file');
  return { engine: 'sqlite', path };
}

const store: Setting<StoreSetting> = {
  help: 'where to keep what is registered; memory: endpoints register again after a restart',
  fallback: 'memory',
  form: 'memory or sqlite:/path/file.db',
  parse: parseStore,
};

const proxy = url({ fallback: '', help: 'the nsmgr-proxy that names like service@domain go to' });

/** Contract 7.7; NSM_STORE is ours. */
export const settings = {
  NSM_NAME: text({ fallback: 'registry', help: 'name of this hop in tokens and errors' }),
  NSM_LISTEN_ON: urls({ fallback: 'unix:///listen.on.socket', help: 'where to listen' }),
  NSM_STORE: store,
  NSM_PROXY_REGISTRY_URL: {
    ...proxy,
    parse: (given: string): string | undefined => (given === '' ? undefined : proxy.parse(given)),
  },
  NSM_MAX_TOKEN_LIFETIME: tokenLifetime,
  NSM_MAX_ENTRIES_PER_IDENTITY: integer(
    { fallback: '10000', help: 'services, and likewise endpoints, that one identity may own' },
    1,
    1e9,
  ),
  NSM_EXPIRE_PERIOD: duration({
    fallback: '1m',
    help: 'how long an endpoint stays registered that is not refreshed',
  }),
};
