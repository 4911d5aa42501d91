import { readFileSync, writeFileSync } from 'node:fs';
import type { Clock } from '@nsm/chain';
import { authorityFrom, createAuthority, type Authority } from '@nsm/identity/authority';

/** The authority outlives every process that trusts it, in ms: ten years. */
const LIFETIME_MS = 10 * 365 * 24 * 3_600_000;

/** The authority of a file, which is made where there is none; without a path it lives in memory. @throws Error where the file is none */
export function openAuthority(path: string, trustDomain: string, clock: Clock): Authority {
  if (path === '') return createAuthority(trustDomain, LIFETIME_MS, clock);
  const kept = read(path);
  if (kept === undefined) {
    const made = createAuthority(trustDomain, LIFETIME_MS, clock);
    writeFileSync(path, made.secret(), { mode: 0o600, flag: 'wx' });
    return made;
  }
  const authority = authorityFrom(kept, clock);
  if (authority.trustDomain !== trustDomain)
    throw new Error(
      `NSM_CA_FILE: ${path} is of the trust domain ${authority.trustDomain}, and NSM_TRUST_DOMAIN is ${trustDomain}`,
    );
  return authority;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (err) {
    if ((err as { code?: string }).code === 'ENOENT') return undefined;
    throw err;
  }
}
