import type { WireguardTunnel } from '@nsm/connection';
import { createWireguard, whyNoWireguard, type WireguardDevices } from '@nsm/datapath';

interface WireguardSettings extends Omit<WireguardTunnel, 'devices'> {
  readonly NSM_WIREGUARD_GO: string;
  readonly NSM_WIREGUARD_PORT: number;
}

/** Our end of encrypted tunnels. Undefined where this node can make none, and why is logged, once. */
export function openWireguard(
  { NSM_WIREGUARD_GO: command, NSM_WIREGUARD_PORT: firstPort, ...tunnel }: WireguardSettings,
  log: { info(fields: object, message: string): void },
): (WireguardTunnel & { readonly devices: WireguardDevices }) | undefined {
  // Without an address for tunnels there are none of any kind.
  if (tunnel.ip === '') return undefined;
  const reason = whyNoWireguard({ command });
  if (reason !== undefined) {
    log.info({ reason }, 'the mechanism WIREGUARD is not offered');
    return undefined;
  }
  const { ip, underlayMtu, owner } = tunnel;
  return { ip, underlayMtu, owner, devices: createWireguard({ command, firstPort }) };
}
