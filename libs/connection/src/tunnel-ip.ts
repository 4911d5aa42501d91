import { parseAddress } from '@nsm/ip';
import { NsmError } from '@nsm/rpc';

/** An address of this node that tunnels may begin and end at. */
export interface TunnelAddress {
  readonly ip: string;
  /** MTU of the link that has it, in octets. */
  readonly underlayMtu: number;
}

/** The first address of this node that is of the family of the other node's. @throws NsmError mechanism-unsupported */
export function facing(addresses: readonly TunnelAddress[], peer: string): TunnelAddress {
  const { family } = parseAddress(peer);
  const own = addresses.find(({ ip }) => parseAddress(ip).family === family);
  if (own !== undefined) return own;
  throw new NsmError(
    'mechanism-unsupported',
    `no tunnel from ${peer} can end here: this node has ${addresses.map(({ ip }) => ip).join(', ')}`,
    { hint: `set NSM_TUNNEL_IP to an IPv${family} address too` },
  );
}

/** Checks the address that a mechanism gives for an end of a tunnel. @throws NsmError invalid-argument, which names the parameter */
export function checkTunnelIp(parameter: string, ip: string): void {
  try {
    parseAddress(ip);
  } catch {
    throw new NsmError(
      'invalid-argument',
      `mechanism.parameters["${parameter}"]: ${JSON.stringify(ip)} is not an IP address; both srcIP(${ip}) and dstIP must be non-nil`,
    );
  }
}
