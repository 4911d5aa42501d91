/** Words of the protocol for mechanisms and payloads (contract 4). */
export const LOCAL = 'LOCAL';
export const REMOTE = 'REMOTE';
export const KERNEL = 'KERNEL';
export const VXLAN = 'VXLAN';
export const WIREGUARD = 'WIREGUARD';
export const NOOP = 'NOOP';
export const VLAN = 'VLAN';
export const IPSEC = 'IPSEC';

/** Payloads (contract 4.1); an empty one means IP. */
export const IP = 'IP';
export const ETHERNET = 'ETHERNET';

/** Parameter keys (contract 4.2). */
export const INTERFACE_NAME = 'name';
export const NETNS_URL = 'inodeURL';
export const SRC_IP = 'src_ip';
export const DST_IP = 'dst_ip';
export const SRC_PORT = 'src_port';
export const DST_PORT = 'dst_port';
export const SRC_PUBLIC_KEY = 'src_public_key';
export const DST_PUBLIC_KEY = 'dst_public_key';
export const VNI = 'vni';
export const MTU = 'MTU';
export const SUPPORTS_VLAN = 'supportsVlan';

/** The connection label that names the physical network of a VLAN (contract 4.6). */
export const VIA = 'via';
