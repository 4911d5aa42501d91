import type { TunnelAddress, WireguardTunnel } from '@nsm/connection';
import { createWireguard, whyNoWireguard, type WireguardDevices } from '@nsm/datapath';

interface WireguardSettings extends Pick<WireguardTunnel, 'owner'> {
  readonly NSM_WIREGUARD_GO: string;
  readonly NSM_WIREGUARD_PORT: number;
}

/** Our end of encrypted tunnels, or why this node can make none, which is logged, once. */
export function openWireguard(
  { NSM_WIREGUARD_GO, NSM_WIREGUARD_PORT: firstPort, owner }: WireguardSettings,
  address: TunnelAddress | undefined,
  log: { info(fields: object, message: string): void },
): {
  readonly tunnel?: WireguardTunnel & { readonly devices: WireguardDevices };
  readonly why?: string;
} {
  // Without an address for tunnels there are none of any kind.
  if (address === undefined) return { why: 'there is no tunnel address here: set NSM_TUNNEL_IP' };
  const program = NSM_WIREGUARD_GO === '' ? {} : { command: NSM_WIREGUARD_GO };
  const reason = whyNoWireguard(program);
  if (reason !== undefined) {
    log.info({ reason }, 'the mechanism WIREGUARD is not offered');
    return { why: reason };
  }
  return { tunnel: { ...address, owner, devices: createWireguard({ ...program, firstPort }) } };
}
