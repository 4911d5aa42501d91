import type { Wireguard } from '../plan.ts';
import type { KeyPair } from './key.ts';

/** What a device says of itself, a process's or the kernel's. */
export interface DeviceState {
  readonly keys: KeyPair;
  readonly port: number;
  /** Public keys of its peers, and where they are: `address:port`, IPv6 in brackets. */
  readonly peers: readonly { readonly key: string; readonly endpoint: string }[];
}

/** What a device shall be (contract 4.5): its key and port, and one peer that may send anything. */
export interface DeviceSetting {
  readonly link: Wireguard;
  readonly keys: KeyPair;
  /** Other peers go. A peer that stays keeps its session: nothing is lost. */
  readonly newPeer: boolean;
}

/** Seconds between packets that keep a path through a NAT open. */
export const KEEPALIVE_S = 10;

/** Where a plan's peer listens, as a device tells it. */
export const endpointOf = ({
  remote,
  remotePort,
}: Pick<Wireguard, 'remote' | 'remotePort'>): string =>
  `${remote.includes(':') ? `[${remote}]` : remote}:${remotePort}`;

/** Whether the plan's peer is the one that a device has. */
export const hasPeer = (device: DeviceState | undefined, { peerKey }: Wireguard): boolean =>
  device?.peers.length === 1 && device.peers[0]?.key === peerKey;

/** Whether a device is what the plan wants. */
export const isAsWanted = (device: DeviceState, plan: Wireguard): boolean =>
  device.keys.publicKey === plan.publicKey &&
  device.port === plan.port &&
  hasPeer(device, plan) &&
  device.peers[0]?.endpoint === endpointOf(plan);
