import { formatAddress, parseAddress } from '@nsm/ip';
import {
  listLinks,
  listNetns,
  type Netns,
  openNetns,
  probe,
  readWireguard,
  setWireguard,
  withGenetlink,
  withRtnetlink,
} from '@nsm/netlink';
import { closeSync } from 'node:fs';
import { parseAlias, REAPER_GROUP } from '../alias.ts';
import type { Device } from '../kernel.ts';
import { type DeviceSetting, type DeviceState, endpointOf, KEEPALIVE_S } from './device.ts';
import { keyPairOf } from './key.ts';
import { deviceName } from './name.ts';

/** WireGuard devices of the kernel's own: links that are set and read by generic netlink, in whichever namespace they are. */

/** Whether this kernel makes WireGuard devices, for us; asking may load the module. */
export function kernelHasWireguard(): boolean {
  try {
    probe('wireguard');
    return true;
  } catch {
    return false;
  }
}

/** Makes a device of a namespace what it shall be. @throws NetlinkError */
export const setKernelDevice = (
  netns: Netns | undefined,
  dev: Device,
  { link, keys, newPeer }: DeviceSetting,
): void =>
  withGenetlink(netns, (genetlink) => {
    setWireguard(genetlink, dev, {
      privateKey: Buffer.from(keys.privateKey, 'hex'),
      port: link.port,
      peer: {
        publicKey: Buffer.from(link.peerKey, 'base64'),
        endpoint: { address: parseAddress(link.remote), port: link.remotePort },
        keepalive: KEEPALIVE_S,
      },
      replacePeers: newPeer,
    });
  });

/** Reads a device of a namespace; undefined: it has no key yet. @throws NetlinkError */
export const readKernelDevice = (netns: Netns | undefined, dev: Device): DeviceState | undefined =>
  withGenetlink(netns, (genetlink) => {
    const { privateKey, port, peers } = readWireguard(genetlink, dev);
    if (privateKey === undefined) return undefined;
    return {
      keys: keyPairOf(privateKey.toString('hex')),
      port,
      peers: peers.map(({ publicKey, endpoint }) => ({
        key: publicKey.toString('base64'),
        endpoint:
          endpoint === undefined
            ? ''
            : endpointOf({ remote: formatAddress(endpoint.address), remotePort: endpoint.port }),
      })),
    };
  });

/** The devices in service that an earlier process has made, by the names they would have as processes. */
export function findKernelDevices(): Map<string, DeviceState> {
  const found = new Map<string, DeviceState>();
  for (const { path } of listNetns()) {
    try {
      for (const [name, device] of devicesIn(path)) found.set(name, device);
    } catch {
      // A namespace that ended while we looked has none.
    }
  }
  return found;
}

function devicesIn(path: string): [string, DeviceState][] {
  const netns = openNetns(path);
  try {
    return withRtnetlink(netns, listLinks).flatMap((link): [string, DeviceState][] => {
      const mark = parseAlias(link.alias);
      if (link.kind !== 'wireguard' || link.group === REAPER_GROUP || mark === undefined) return [];
      const device = readKernelDevice(netns, link);
      return device === undefined ? [] : [[deviceName(mark), device]];
    });
  } finally {
    closeSync(netns);
  }
}
