import { type Address, addressBytes, addressFromBytes } from '@nsm/ip';
import { attribute, attributes, entries, nest, u16, u32, u8 } from './attribute.ts';
import { type Device, deviceIndex, deviceName } from './device.ts';
import { familyOf, GENL_HEADER, genlHeader } from './generic.ts';
import { type Message, reading, type Request } from './message.ts';
import { NetlinkError, type Rtnetlink } from './socket.ts';
import { AF_INET, AF_INET6 } from './sys.ts';

/** <linux/wireguard.h>: WireGuard devices of the kernel's own are set and read by generic netlink, in the namespace they are in. */
const FAMILY = 'wireguard';
const VERSION = 1;
const COMMAND = { getDevice: 0, setDevice: 1 } as const;
const WGDEVICE_A = { ifindex: 1, privateKey: 3, flags: 5, listenPort: 6, peers: 8 } as const;
const WGDEVICE_F_REPLACE_PEERS = 1;
const WGPEER_A = {
  publicKey: 1,
  flags: 3,
  endpoint: 4,
  keepalive: 5,
  allowedIps: 9,
} as const;
const WGPEER_F_REPLACE_ALLOWEDIPS = 2;
const WGALLOWEDIP_A = { family: 1, ip: 2, mask: 3 } as const;
const KEY_BYTES = 32;
const EOPNOTSUPP = 95;

/** Where a peer receives its packets. */
interface Endpoint {
  readonly address: Address;
  /** UDP */
  readonly port: number;
}

/** How a device shall be: with one peer, which may send anything. */
export interface WireguardSetting {
  /** 32 bytes. */
  readonly privateKey: Buffer;
  /** UDP, in the namespace that the device was created from. */
  readonly port: number;
  readonly peer: {
    /** 32 bytes. */
    readonly publicKey: Buffer;
    readonly endpoint: Endpoint;
    /** Seconds between packets that keep the path open. */
    readonly keepalive: number;
  };
  /** Whether the peers there are go first. One that stays keeps its session. */
  readonly replacePeers: boolean;
}

/** A device as the kernel has it. */
export interface WireguardState {
  /** Undefined: it has none yet. */
  readonly privateKey?: Buffer;
  readonly port: number;
  readonly peers: readonly { readonly publicKey: Buffer; readonly endpoint?: Endpoint }[];
}

/**
 * `wg set NAME listen-port PORT private-key KEY peer KEY endpoint ADDRESS:PORT persistent-keepalive S allowed-ips 0.0.0.0/0,::/0`
 * @throws NetlinkError EOPNOTSUPP: the kernel has no WireGuard; ENODEV: there is no such device; EADDRINUSE: its port is taken
 */
export function setWireguard(
  genetlink: Rtnetlink,
  device: Device,
  setting: WireguardSetting,
): void {
  const request = wireguardSet(0, device, setting);
  genetlink.request([{ ...request, type: familyFor(genetlink, request.words) }]);
}

/** `wg show NAME`, with its private key. @throws NetlinkError as `setWireguard` */
export function readWireguard(genetlink: Rtnetlink, device: Device): WireguardState {
  const words = `wg show ${deviceName(device)}`;
  const body = Buffer.concat([
    genlHeader(COMMAND.getDevice, VERSION),
    u32(WGDEVICE_A.ifindex, deviceIndex(device)),
  ]);
  const type = familyFor(genetlink, words);
  return joined(genetlink.dump({ type, flags: 0, body, words }).map(decodeWireguard));
}

/** The message of `setWireguard` for a family with the number `type`. Its words have no private key in them. */
export function wireguardSet(
  type: number,
  device: Device,
  { privateKey, port, peer: { publicKey, endpoint, keepalive }, replacePeers }: WireguardSetting,
): Request {
  const peer = nest(
    0,
    attribute(WGPEER_A.publicKey, publicKey),
    u32(WGPEER_A.flags, WGPEER_F_REPLACE_ALLOWEDIPS),
    attribute(WGPEER_A.endpoint, socketAddress(endpoint)),
    u16(WGPEER_A.keepalive, keepalive),
    nest(WGPEER_A.allowedIps, anything(AF_INET, 4), anything(AF_INET6, 16)),
  );
  return {
    type,
    flags: 0,
    body: Buffer.concat([
      genlHeader(COMMAND.setDevice, VERSION),
      u32(WGDEVICE_A.ifindex, deviceIndex(device)),
      u32(WGDEVICE_A.flags, replacePeers ? WGDEVICE_F_REPLACE_PEERS : 0),
      attribute(WGDEVICE_A.privateKey, privateKey),
      u16(WGDEVICE_A.listenPort, port),
      nest(WGDEVICE_A.peers, peer),
    ]),
    words: `wg set ${deviceName(device)} listen-port ${port} peer ${publicKey.toString('base64')}`,
  };
}

/** Reads one message of a device; a device with many peers has several. @throws MalformedMessage */
export const decodeWireguard = (message: Message): WireguardState => reading(message, readDevice);

function readDevice(body: Buffer): WireguardState {
  const found = attributes(body.subarray(GENL_HEADER));
  const privateKey = found.get(WGDEVICE_A.privateKey);
  return {
    ...(privateKey?.length === KEY_BYTES ? { privateKey } : {}),
    port: found.get(WGDEVICE_A.listenPort)?.readUInt16LE(0) ?? 0,
    peers: entries(found.get(WGDEVICE_A.peers) ?? Buffer.alloc(0)).map(([, peer]) => {
      const parts = attributes(peer);
      const endpoint = parts.get(WGPEER_A.endpoint);
      return {
        publicKey: parts.get(WGPEER_A.publicKey) ?? Buffer.alloc(0),
        ...(endpoint === undefined ? {} : { endpoint: readSocketAddress(endpoint) }),
      };
    }),
  };
}

/** What stands in the first message holds; a peer that goes on in the next one is named there again, with no endpoint. */
function joined(parts: readonly WireguardState[]): WireguardState {
  const peers = parts.flatMap((part) => part.peers);
  return {
    port: 0,
    ...parts[0],
    peers: peers.filter(
      ({ publicKey }, i) => i === 0 || peers[i - 1]?.publicKey.equals(publicKey) !== true,
    ),
  };
}

function familyFor(genetlink: Rtnetlink, words: string): number {
  const family = familyOf(genetlink, FAMILY);
  if (family !== undefined) return family;
  throw new NetlinkError(words, { errno: EOPNOTSUPP, detail: 'the kernel has no WireGuard' });
}

/** All addresses of a family: a prefix of length 0. */
const anything = (family: number, bytes: number): Buffer =>
  nest(
    0,
    u16(WGALLOWEDIP_A.family, family),
    attribute(WGALLOWEDIP_A.ip, Buffer.alloc(bytes)),
    u8(WGALLOWEDIP_A.mask, 0),
  );

/** struct sockaddr_in, sockaddr_in6 */
function socketAddress({ address, port }: Endpoint): Buffer {
  const six = address.family === 6;
  const buffer = Buffer.alloc(six ? 28 : 16);
  buffer.writeUInt16LE(six ? AF_INET6 : AF_INET, 0);
  buffer.writeUInt16BE(port, 2);
  buffer.set(addressBytes(address), six ? 8 : 4);
  return buffer;
}

function readSocketAddress(bytes: Buffer): Endpoint {
  const six = bytes.readUInt16LE(0) === AF_INET6;
  return {
    port: bytes.readUInt16BE(2),
    address: addressFromBytes(six ? bytes.subarray(8, 24) : bytes.subarray(4, 8)),
  };
}
