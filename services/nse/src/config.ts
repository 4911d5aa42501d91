import { overlaps, parsePrefix, type Prefix } from '@nsm/ip';
import { choice, flag, list, map, text, tokenLifetime, url, type Setting } from '@nsm/service';

/** `[a,b],[c],d`: groups of prefixes; a plain prefix is a group of its own (contract 7.6). */
export function parseGroups(text: string): Prefix[][] {
  const items = text.match(/\[[^\]]*\]|[^,[\]]+/g) ?? [];
  const groups = items
    .map((item) =>
      item
        .replaceAll(/[[\]]/g, '')
        .split(',')
        .map((prefix) => prefix.trim())
        .filter((prefix) => prefix !== ''),
    )
    .filter((group) => group.length > 0)
    .map((group) => group.map(parsePrefix));
  if (groups.length === 0) throw new Error('required one or more prefixes');
  const all = groups.flat();
  for (const [i, a] of all.entries())
    for (const b of all.slice(i + 1))
      if (overlaps(a, b)) throw new Error('two of the prefixes overlap');
  return groups;
}

const prefixGroups: Setting<Prefix[][]> = {
  help: 'addresses to give out; each group gives every client a pair: 172.16.0.0/24 or [172.16.0.0/24],[fd00::/64]',
  fallback: '169.254.0.0/16',
  form: 'prefixes, groups in brackets',
  parse: parseGroups,
};

/** Contract 7.6. */
export const settings = {
  NSM_NAME: text({ fallback: 'nse', help: 'name of the endpoint and of the path segment' }),
  NSM_CONNECT_TO: url({
    fallback: 'unix:///var/lib/networkservicemesh/nsm.io.sock',
    help: 'the manager of this node',
  }),
  NSM_LISTEN_ON: url({
    fallback: 'unix:///var/lib/networkservicemesh/nse.sock',
    help: 'where to listen; one socket per endpoint',
  }),
  NSM_MAX_TOKEN_LIFETIME: tokenLifetime,
  NSM_SERVICE_NAMES: list({ help: 'the network services to offer' }),
  NSM_PAYLOAD: choice({ fallback: 'ETHERNET', help: 'payload of the services' }, 'ETHERNET', 'IP'),
  NSM_LABELS: map({ fallback: '', help: 'labels of the endpoint, for every service' }),
  NSM_PASS_THROUGH: flag({
    fallback: 'false',
    help: 'go on to the next endpoint of the service that NSM_LABELS lead to, and give no addresses',
  }),
  NSM_CIDR_PREFIX: prefixGroups,
  NSM_IPAM_POLICY: choice(
    {
      fallback: 'strict',
      help: 'strict takes off addresses of clients that are not ours; polite keeps them',
    },
    'strict',
    'polite',
  ),
  NSM_REGISTER_SERVICE: flag({
    fallback: 'true',
    help: 'register the services too, not only the endpoint',
  }),
  NSM_PBR_CONFIG_PATH: text({
    fallback: '/etc/policy-based-routing/config.yaml',
    help: 'policy routes for the clients, followed while it changes; a missing file has none',
  }),
  NSM_UNREGISTER_ITSELF: flag({ fallback: 'true', help: 'unregister when stopped' }),
};
