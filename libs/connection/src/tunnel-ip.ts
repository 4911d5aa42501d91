import { parseAddress } from '@nsm/ip';
import { NsmError } from '@nsm/rpc';

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
