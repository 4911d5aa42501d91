import { trustDomainOf } from '@nsm/rpc';
import { duration, list, text, type Setting } from '@nsm/service';

/** Whoever can connect to the socket is this. */
interface Entry {
  /** unix:///path */
  readonly url: string;
  readonly spiffeId: string;
}

const entries: Setting<readonly Entry[]> = {
  ...list({ help: 'who is who: whoever can connect to the socket gets the identity' }),
  form: 'unix:///path=spiffe://trust-domain/path, several by commas',
  parse: (given) => {
    const found = given
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
      .map(parseEntry);
    const twice = found.find(({ url }, i) => found.findIndex((e) => e.url === url) !== i);
    if (twice) throw new Error(`${twice.url} is given twice`);
    return found;
  },
};

function parseEntry(item: string): Entry {
  const [, url = '', spiffeId = ''] = /^(unix:\/\/\/[^\0\s=]+)=(.*)$/.exec(item) ?? [];
  if (url === '') throw new Error(`${JSON.stringify(item)} has no "unix:///path="`);
  if (trustDomainOf(spiffeId) === undefined)
    throw new Error(`${JSON.stringify(spiffeId)} is no SPIFFE id`);
  return { url, spiffeId };
}

const socketMode: Setting<number> = {
  help: 'mode of the sockets: whoever may write to one gets its identity',
  fallback: '0600',
  form: 'an octal number like 0660',
  parse: (given) => {
    if (!/^0?[0-7]{3}$/.test(given)) throw new Error('not a mode');
    return parseInt(given, 8);
  },
};

/** docs/security.md explains each. */
export const settings = {
  NSM_NAME: text({ fallback: 'identity', help: 'name of this process in errors' }),
  NSM_TRUST_DOMAIN: text({ fallback: 'nsm.local', help: 'the trust domain of all identities' }),
  NSM_ENTRIES: entries,
  NSM_SOCKET_MODE: socketMode,
  NSM_SVID_TTL: duration({
    fallback: '1h',
    help: 'how long an identity lasts; a new one is sent at half of it',
  }),
  NSM_CA_FILE: text({
    fallback: '',
    help: 'where the key of the authority is kept, readable by its owner only; empty: in memory, a restart makes another one',
  }),
};
