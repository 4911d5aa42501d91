import { addressBits, addressBytes, addressFromBytes, formatPrefix, type Prefix } from '@nsm/ip';
import { attribute, attributes, readU32, u32, zeros } from './attribute.ts';
import { type Device, deviceIndex, deviceName } from './device.ts';
import { type Message, NLM_F_CREATE, NLM_F_REPLACE, reading, type Request } from './message.ts';
import type { Rtnetlink } from './socket.ts';
import { AF_INET, AF_INET6 } from './sys.ts';

/** <linux/rtnetlink.h>, <linux/if_addr.h> */
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA = { address: 1, local: 2, flags: 8 } as const;
const IFA_F_NODAD = 2;

/** An address of a link. */
export interface InterfaceAddress {
  readonly index: number;
  readonly address: Prefix;
  /** 0 global, 253 link, 254 host */
  readonly scope: number;
}

/** `ip addr replace ADDRESS dev NAME`, IPv6 with nodad: the mesh gives addresses out, and a probe would delay the first packet. */
export function addressReplace(device: Device, address: Prefix): Request {
  const nodad = address.family === 6 ? [u32(IFA.flags, IFA_F_NODAD)] : [];
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: Buffer.concat([encode(deviceIndex(device), address), ...nodad]),
    get words() {
      return `ip addr replace ${formatPrefix(address)} dev ${deviceName(device)}`;
    },
  };
}

/** `ip addr delete ADDRESS dev NAME`. One that is gone already is fine. */
export const addressDelete = (device: Device, address: Prefix): Request => ({
  type: RTM_DELADDR,
  flags: 0,
  body: encode(deviceIndex(device), address),
  get words() {
    return `ip addr delete ${formatPrefix(address)} dev ${deviceName(device)}`;
  },
  ignore: ['EADDRNOTAVAIL', 'ENODEV'],
});

/** `ip addr show dev NAME` @throws NetlinkError */
export function listAddresses(rtnetlink: Rtnetlink, index: number): InterfaceAddress[] {
  const body = header(0, 0, index);
  const words = `ip addr show dev if${index}`;
  return rtnetlink
    .dump({ type: RTM_GETADDR, flags: 0, body, words })
    .map(decodeAddress)
    .filter((address) => address.index === index);
}

/** Reads a RTM_NEWADDR message. @throws MalformedMessage */
export const decodeAddress = (message: Message): InterfaceAddress => reading(message, readAddress);

function readAddress(body: Buffer): InterfaceAddress {
  const found = attributes(body.subarray(8));
  // IFA_LOCAL is absent for IPv6; for point-to-point IPv4, IFA_ADDRESS would be the other end.
  const bytes = found.get(IFA.local) ?? found.get(IFA.address) ?? Buffer.alloc(4);
  return {
    index: readU32(body.subarray(4)) ?? 0,
    address: { ...addressFromBytes(bytes), length: body.readUInt8(1) },
    scope: body.readUInt8(3),
  };
}

const encode = (index: number, address: Prefix): Buffer => {
  const bytes = addressBytes(address);
  const family = addressBits(address.family) === 32 ? AF_INET : AF_INET6;
  return Buffer.concat([
    header(family, address.length, index),
    attribute(IFA.local, bytes),
    attribute(IFA.address, bytes),
  ]);
};

/** struct ifaddrmsg */
function header(family: number, length: number, index: number): Buffer {
  const buffer = zeros(8);
  buffer.writeUInt8(family, 0);
  buffer.writeUInt8(length, 1);
  buffer.writeUInt32LE(index, 4);
  return buffer;
}
