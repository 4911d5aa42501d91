import { formatRequestUrl, parseRequestUrl } from '@nsm/connection';
import { duration, flag, list, text, tokenLifetime, url, urls, type Setting } from '@nsm/service';

const requests: Setting<readonly ReturnType<typeof parseRequestUrl>[]> = {
  ...list({
    help: 'what to connect to: kernel://service/interface?label=value, several by commas',
  }),
  form: 'request URLs',
  parse: (text) => {
    const urls = text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    if (urls.length === 0) throw new Error('names nothing to connect to');
    return urls.map(parseRequestUrl);
  },
};

/** `[url,url],[url]`. */
const groups: Setting<readonly ReadonlySet<string>[]> = {
  help: 'wires that may have the same addresses, which are kept apart otherwise: [kernel://a/nsm-1,kernel://b/nsm-2],[...]',
  fallback: '',
  form: 'groups of request URLs in brackets',
  parse: (text) => {
    if (!/^(\[[^\]]*\](,|$))*$/.test(text)) throw new Error('write it as [url,url],[url]');
    const found = text.match(/[^[\]]+(?=\])/g) ?? [];
    return found.map(
      (group) =>
        new Set(group.split(',').map((url) => formatRequestUrl(parseRequestUrl(url.trim())))),
    );
  },
};

/** Contract 7.5. */
export const settings = {
  NSM_NAME: text({
    fallback: 'nsc',
    help: 'name of the path segment; wires are called <name>-<n>',
  }),
  NSM_CONNECT_TO: url({
    fallback: 'unix:///var/lib/networkservicemesh/nsm.io.sock',
    help: 'the manager of this node',
  }),
  NSM_LISTEN_ON: urls({
    fallback: '',
    help: 'where to answer health checks: serving once all wires have been up; empty: nowhere',
  }),
  NSM_REQUEST_TIMEOUT: duration({ fallback: '15s', help: 'limit of one attempt' }),
  NSM_LIVENESS_CHECK_ENABLED: flag({
    fallback: 'true',
    help: 'ping the other end of each wire, and ask for another endpoint when it is silent',
  }),
  NSM_LIVENESS_CHECK_INTERVAL: duration({ fallback: '200ms', help: 'between two pings' }),
  NSM_LIVENESS_CHECK_TIMEOUT: duration({
    fallback: '200ms',
    help: 'how long a wire may be silent',
  }),
  NSM_MAX_TOKEN_LIFETIME: tokenLifetime,
  NSM_NETWORK_SERVICES: requests,
  NSM_AWARENESS_GROUPS: groups,
};
