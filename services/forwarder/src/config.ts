import { parseAddress } from '@nsm/ip';
import { integer, list, map, netnsProof, text, tokenLifetime, url } from '@nsm/service';

/** Contract 7.3 and 7.4. */
export const settings = {
  NSM_NAME: text({ fallback: 'forwarder', help: 'name of the endpoint and of the path segment' }),
  NSM_LABELS: map({ fallback: 'p2p:true', help: 'labels of the registration' }),
  NSM_NSNAME: text({ fallback: 'forwarder', help: 'the network service to register for' }),
  NSM_CONNECT_TO: url({
    fallback: 'unix:///var/lib/networkservicemesh/nsm.io.sock',
    help: 'the manager of this node',
  }),
  NSM_LISTEN_ON: url({
    fallback: 'unix:///var/lib/networkservicemesh/forwarder.sock',
    help: 'where to listen',
  }),
  NSM_MAX_TOKEN_LIFETIME: tokenLifetime,
  NSM_TUNNEL_IP: list(
    {
      fallback: '',
      help: 'addresses of this node for tunnels, preferred ones first, for example one of each family; empty: wires stay on this node',
    },
    { form: 'IP addresses', check: parseAddress },
  ),
  NSM_VXLAN_PORT: integer(
    {
      fallback: '4789',
      help: 'UDP port of VXLAN tunnels, the same on all nodes; 0 stands for 4789',
    },
    0,
    65_535,
  ),
  NSM_DEVICE_SELECTOR_FILE: text({
    fallback: '',
    help: 'YAML file that names the link of each physical network; empty: no VLANs',
  }),
  NSM_WIREGUARD_PORT: integer(
    {
      fallback: '51820',
      help: 'first UDP port of WireGuard tunnels; each has one of its own',
    },
    1,
    65_535,
  ),
  NSM_WIREGUARD_GO: text({
    fallback: '',
    help: 'the program of WireGuard tunnels, a name in PATH or a path; empty: the kernel, else wireguard-go',
  }),
  NSM_NETNS_PROOF: netnsProof,
  NSM_MECHANISM_PRIORITY: list({
    fallback: '',
    help: 'mechanism types, preferred ones first, for example WIREGUARD,VXLAN',
  }),
};
