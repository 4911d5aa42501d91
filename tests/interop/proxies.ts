import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '@nsm/lab';

/** Addresses of the underlay that is given here: the registry, and the nodes. */
export const UNDERLAY = '10.88.0.0/24';
const [REGISTRY, ...NODES] = ['10.88.0.1', '10.88.0.2', '10.88.0.3'] as const;
/** What the registry asks for names of other domains. */
export const PROXY_URL = `tcp://${REGISTRY}:5004`;
const REGISTRY_PROXY_URL = `tcp://${REGISTRY}:5005`;
const OTHER_PROXY = `${REGISTRY}:5006`;
const REGISTRY_URL = `tcp://${REGISTRY}:5002`;

/**
 * Upstream's proxies, which end with the lab: `proxy-here` is this domain's, `proxy-there` that of the domain `other`, whose registry and
 * managers are those of the lab again.
 */
export function startProxies(
  lab: Lab,
  { binary, insecure, logFolder }: { binary: string; insecure: boolean; logFolder: string },
): void {
  mkdirSync(logFolder, { recursive: true });
  // No address is translated, and one that is not in the file becomes none.
  const addresses = join(logFolder, 'addresses.yaml');
  writeFileSync(addresses, [REGISTRY, ...NODES].map((each) => `${each}: ${each}\n`).join(''));
  const start = (program: string, name: string, settings: Readonly<Record<string, string>>) => {
    const log = openSync(join(logFolder, `${name}.log`), 'w');
    const env = {
      NSM_NAME: name,
      NSM_DIAL_TIMEOUT: '2s',
      ...(insecure
        ? { NSM_INSECURE: 'true' }
        : { SPIFFE_ENDPOINT_SOCKET: lab.plan.identityUrl ?? '' }),
      ...settings,
    };
    lab.spawn('registry', [binary, program], { env, stdio: ['ignore', log, log] });
  };
  const proxies = { 'proxy-here': PROXY_URL, 'proxy-there': `tcp://${OTHER_PROXY}` };
  for (const [name, url] of Object.entries(proxies))
    start('nsmgr-proxy', name, {
      NSM_LISTEN_ON: url,
      NSM_REGISTRY_URL: REGISTRY_URL,
      NSM_REGISTRY_PROXY_URL: REGISTRY_PROXY_URL,
      NSM_MAP_IP_FILE_PATH: addresses,
    });
  start('registry-proxy', 'registry-proxy', {
    NSM_LISTEN_ON: REGISTRY_PROXY_URL,
    NSM_HOSTS: `registry.nsm-system.other=${REGISTRY}:5002,nsmgr-proxy.nsm-system.other=${OTHER_PROXY}`,
  });
}
