import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { trustDomainOf } from '@nsm/rpc';
import { main } from '@nsm/service';
import { openAuthority } from './ca-file.ts';
import { settings } from './config.ts';
import { serveWorkloads } from './workloads.ts';

await main(
  'identity',
  settings,
  async (config, runtime) => {
    const { log, clock } = runtime;
    const { NSM_TRUST_DOMAIN: trustDomain, NSM_ENTRIES: entries, NSM_SVID_TTL: ttlMs } = config;
    const foreign = entries.find(({ spiffeId }) => trustDomainOf(spiffeId) !== trustDomain);
    if (foreign)
      throw new Error(`NSM_ENTRIES: ${foreign.spiffeId} is not of the trust domain ${trustDomain}`);
    // A socket is open to whoever gets to it, so the folder it is in decides.
    for (const { url } of entries)
      mkdirSync(dirname(url.slice('unix://'.length)), { recursive: true, mode: 0o700 });
    const authority = openAuthority(config.NSM_CA_FILE, trustDomain, clock);
    const onIssued = (spiffeId: string): void => log.info({ spiffeId, ttlMs }, 'issued');
    const stopping = new AbortController();
    for (const { url, spiffeId } of entries)
      await runtime.serve(
        [url],
        config.NSM_NAME,
        [
          serveWorkloads(spiffeId, {
            authority,
            clock,
            ttlMs,
            stopping: stopping.signal,
            onIssued,
          }),
        ],
        { mode: config.NSM_SOCKET_MODE },
      );
    // The last one registered stops first: streams end before the listeners close.
    runtime.onStop('streams', () => stopping.abort());
  },
  { proven: false, listensOn: ({ NSM_ENTRIES: [first] }) => first?.url },
);
