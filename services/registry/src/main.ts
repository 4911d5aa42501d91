import { insecureTokens } from '@nsm/identity';
import { createMemoryStore, endpointKind, serviceKind } from '@nsm/registry';
import { main } from '@nsm/service';
import { createRegistry } from './chain.ts';
import { settings } from './config.ts';

await main('registry', '0.1.0', settings, async (config, runtime) => {
  const { clock } = runtime;
  const stopping = new AbortController();
  const services = await createRegistry({
    tokens: insecureTokens(config.NSM_NAME, config.NSM_MAX_TOKEN_LIFETIME, clock),
    clock,
    services: createMemoryStore(serviceKind),
    endpoints: createMemoryStore(endpointKind),
    expirePeriodMs: config.NSM_EXPIRE_PERIOD,
    stopping: stopping.signal,
  });
  runtime.onStop('registry', () => stopping.abort());
  await runtime.serve(config.NSM_LISTEN_ON, config.NSM_NAME, services);
});
