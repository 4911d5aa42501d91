import { decodeLink, type Link } from './link.ts';
import { RTM_DELLINK, RTM_NEWLINK } from './link-message.ts';
import { decodeMessages, type Message } from './message.ts';
import { inNetns, type Netns } from './netns.ts';
import { decodeNsid, RTM_DELNSID } from './nsid.ts';
import * as sys from './sys.ts';

/** <linux/netlink.h>, <linux/rtnetlink.h> */
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_LISTEN_ALL_NSID = 8;
const RTNLGRP_LINK = 1;
const RTNLGRP_NSID = 28;

/** Some 2,000 events may wait while this thread does something else. */
const SOCKET_BUFFER_BYTES = 8 * 1024 * 1024;
const DATAGRAM_BYTES = 64 * 1024;
const CONTROL_BYTES = 64;
/** So many datagrams, then others get their turn. */
const AT_ONCE = 256;

/** What happened in a namespace: this socket's own (`nsid` undefined), or one that has a number there (see `nsidOf`). */
export type NetlinkEvent =
  /** A link was made or changed: this is how it is now. */
  | { readonly event: 'link'; readonly nsid: number | undefined; readonly link: Link }
  /** A link is gone; it was like this. */
  | { readonly event: 'no-link'; readonly nsid: number | undefined; readonly link: Link }
  /** The namespace of this number is gone. */
  | { readonly event: 'no-netns'; readonly nsid: number }
  /** The kernel had more to say than there was room for: look at everything again. */
  | { readonly event: 'lost' };

/** Whether a message in the form it was received is worth decoding: most events of a busy machine are not the listener's business. */
export type Concerns = (message: Buffer) => boolean;

/** A socket that listens. */
export interface Events {
  /** Whether it hears the links of all namespaces; without CAP_NET_BROADCAST those of its own, and the end of any other. */
  readonly everywhere: boolean;
  close(): void;
}

/**
 * Hears the links of all namespaces over one socket in `netns` (default: the thread's own), on this thread's event loop. `concerns`
 * is asked before a link's message is decoded.
 * @throws Errno
 */
export function openEvents(
  onEvent: (event: NetlinkEvent) => void,
  { netns, concerns }: { readonly netns?: Netns; readonly concerns?: Concerns } = {},
): Events {
  const { fd, everywhere } = netns === undefined ? openSocket() : inNetns(netns, openSocket);
  const data = Buffer.allocUnsafeSlow(DATAGRAM_BYTES);
  const control = Buffer.allocUnsafeSlow(CONTROL_BYTES);
  const receive = sys.messageReceiver(data, control);
  let open = true;

  const next = (): boolean => {
    try {
      const received = receive(fd, sys.MSG_DONTWAIT);
      if (received === undefined) return false;
      const { length, controlLength } = received;
      const nsid = senderOf(control.subarray(0, controlLength));
      for (const message of decodeMessages(data.subarray(0, length))) {
        const event = eventFrom(message, nsid, concerns);
        if (event !== undefined) onEvent(event);
      }
      return true;
    } catch (error) {
      if (!(error instanceof sys.Errno)) throw error;
      if (error.code === 'ENOBUFS') onEvent({ event: 'lost' });
      else if (error.code !== 'EINTR') throw error;
      return true;
    }
  };
  const handle = sys.watchReadable(fd, () => {
    for (let i = 0; open && i < AT_ONCE && next(); i += 1);
  });
  return {
    everywhere,
    close: () => {
      if (!open) return;
      open = false;
      handle.close();
      sys.close(fd);
    },
  };
}

function openSocket(): { readonly fd: number; readonly everywhere: boolean } {
  const type = sys.SOCK_RAW | sys.SOCK_CLOEXEC | sys.SOCK_NONBLOCK;
  const fd = sys.socket(sys.AF_NETLINK, type, NETLINK_ROUTE);
  try {
    growBuffer(fd);
    // Without an address of its own the socket counts as the kernel, which does not hear itself.
    sys.bindSocket(fd, socketAddress());
    const everywhere = listenEverywhere(fd);
    for (const group of [RTNLGRP_LINK, RTNLGRP_NSID])
      sys.setSocketOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    return { fd, everywhere };
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** Whether it may (netlink_setsockopt and do_one_broadcast of the kernel ask for CAP_NET_BROADCAST). */
function listenEverywhere(fd: number): boolean {
  try {
    sys.setSocketOption(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
    return true;
  } catch (error) {
    if (error instanceof sys.Errno && error.code === 'EPERM') return false;
    throw error;
  }
}

/** struct sockaddr_nl: the kernel chooses the port. */
function socketAddress(): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(sys.AF_NETLINK, 0);
  return address;
}

function growBuffer(fd: number): void {
  try {
    sys.setSocketOption(fd, sys.SOL_SOCKET, sys.SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES);
  } catch {
    // In a user namespace the machine's limit holds (net.core.rmem_max).
    sys.setSocketOption(fd, sys.SOL_SOCKET, sys.SO_RCVBUF, SOCKET_BUFFER_BYTES);
  }
}

/** The nsid in the ancillary data (struct cmsghdr of a 64-bit system); none: it came from the socket's own namespace. */
function senderOf(control: Buffer): number | undefined {
  if (control.length < 20) return undefined;
  const [level, type] = [control.readInt32LE(8), control.readInt32LE(12)];
  return level === SOL_NETLINK && type === NETLINK_LISTEN_ALL_NSID
    ? control.readInt32LE(16)
    : undefined;
}

function eventFrom(
  message: Message,
  nsid: number | undefined,
  concerns: Concerns | undefined,
): NetlinkEvent | undefined {
  const { type, body } = message;
  if (type === RTM_DELNSID) return { event: 'no-netns', nsid: decodeNsid(body) };
  if (type !== RTM_NEWLINK && type !== RTM_DELLINK) return undefined;
  if (concerns?.(body) === false) return undefined;
  return { event: type === RTM_NEWLINK ? 'link' : 'no-link', nsid, link: decodeLink(message) };
}
