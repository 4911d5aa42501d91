import { duration, netnsProof, text, tokenLifetime, url, urls } from '@nsm/service';

/** Contract 7.2. */
export const settings = {
  NSM_NAME: text({ fallback: 'nsmgr', help: 'name of the path segment; on Kubernetes the node' }),
  NSM_LISTEN_ON: urls({
    fallback: 'unix:///var/lib/networkservicemesh/nsm.io.sock',
    help: 'where to listen; the first tcp URL is what other nodes dial',
  }),
  NSM_REGISTRY_URL: url({ fallback: 'tcp://localhost:5001', help: 'the registry' }),
  NSM_MAX_TOKEN_LIFETIME: tokenLifetime,
  NSM_FORWARDER_NETWORK_SERVICE_NAME: text({
    fallback: 'forwarder',
    help: 'the network service forwarders register for',
  }),
  NSM_EXPIRE_PERIOD: duration({
    fallback: '1m',
    help: 'how long a registration lasts that its endpoint does not refresh',
  }),
  NSM_EXCLUDED_PREFIXES_FILE: text({
    fallback: '/var/lib/networkservicemesh/config/excluded_prefixes.yaml',
    help: 'YAML file with a list `prefixes` that endpoints shall not use; read again when it changes, may be missing',
  }),
  NSM_NETNS_PROOF: netnsProof,
  NODE_NAME: text({ fallback: '', help: 'label nodeName for clients and endpoints of this node' }),
  POD_NAME: text({ fallback: '', help: 'label podName, likewise' }),
  CLUSTER_NAME: text({ fallback: '', help: 'label clusterName, likewise' }),
};
