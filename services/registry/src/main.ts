import {
  createMemoryStore,
  endpointKind,
  openSqliteStores,
  registryClient,
  serviceKind,
  type Stores,
} from '@nsm/registry';
import { main } from '@nsm/service';
import { createRegistry } from './chain.ts';
import { settings } from './config.ts';

await main('registry', settings, async (config, runtime) => {
  const { clock, log } = runtime;
  const { NSM_NAME: name, NSM_STORE: store, NSM_PROXY_REGISTRY_URL: proxyUrl } = config;
  const stores = store.engine === 'sqlite' ? openSqliteStores(store.path) : memoryStores();
  const { services, endpoints } = stores;
  runtime.onStop('store', () => stores.close());

  const stopping = new AbortController();
  const tokens = runtime.tokens(name, config.NSM_MAX_TOKEN_LIFETIME);
  const registry = await createRegistry({
    tokens,
    policies: runtime.policies,
    proxy:
      proxyUrl === undefined
        ? undefined
        : registryClient(runtime.transport, proxyUrl, { ...runtime, tokens }),
    maxPath: runtime.maxPath,
    maxEntries: config.NSM_MAX_ENTRIES_PER_IDENTITY,
    clock,
    services,
    endpoints,
    expirePeriodMs: config.NSM_EXPIRE_PERIOD,
    stopping: stopping.signal,
    trace: runtime.trace,
    onOutcome: ({ op, kind, name: entry, ms, error }) => {
      const fields = { op, kind, entry, ms };
      if (error)
        log.warn(
          { ...fields, code: error.code, element: error.element, policy: error.policy },
          error.message,
        );
      else log.info(fields, `${op} done`);
    },
    onExpired: (entry, error) => {
      if (error === undefined) log.info({ entry }, 'an endpoint was not refreshed and is gone');
      else log.error({ entry, error }, 'an expired endpoint could not be removed');
    },
  });
  log.info(
    { store: store.engine, services: services.list().length, endpoints: endpoints.list().length },
    'store opened',
  );
  runtime.metrics.read('nsm_registry_entries', () => [
    [{ kind: 'service' }, services.list().length],
    [{ kind: 'endpoint' }, endpoints.list().length],
  ]);
  await runtime.serve(config.NSM_LISTEN_ON, name, registry);
  // The last one registered stops first: watches end with OK before the listeners close.
  runtime.onStop('watches', () => stopping.abort());
});

/** Nothing to close: what is in memory ends with the process. */
function memoryStores(): Stores {
  return {
    services: createMemoryStore(serviceKind),
    endpoints: createMemoryStore(endpointKind),
    close: async () => undefined,
  };
}
