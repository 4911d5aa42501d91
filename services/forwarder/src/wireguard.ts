import type { WireguardTunnel } from '@nsm/connection';
import { createWireguard, whyNoWireguard, type WireguardDevices } from '@nsm/datapath';

interface WireguardSettings extends Omit<WireguardTunnel, 'devices'> {
  readonly NSM_WIREGUARD_GO: string;
  readonly NSM_WIREGUARD_PORT: number;
}

/** Our end of encrypted tunnels, or why this node can make none, which is logged, once. */
export function openWireguard(
  { NSM_WIREGUARD_GO: command, NSM_WIREGUARD_PORT: firstPort, ...tunnel }: WireguardSettings,
  log: { info(fields: object, message: string): void },
): {
  readonly tunnel?: WireguardTunnel & { readonly devices: WireguardDevices };
  readonly why?: string;
} {
  // Without an address for tunnels there are none of any kind.
  if (tunnel.ip === '') return { why: 'there is no tunnel address here: set NSM_TUNNEL_IP' };
  const reason = whyNoWireguard({ command });
  if (reason !== undefined) {
    log.info({ reason }, 'the mechanism WIREGUARD is not offered');
    return { why: reason };
  }
  const { ip, underlayMtu, owner } = tunnel;
  return { tunnel: { ip, underlayMtu, owner, devices: createWireguard({ command, firstPort }) } };
}
