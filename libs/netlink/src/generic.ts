import { attributes, text } from './attribute.ts';
import type { Netns } from './netns.ts';
import { openNetlink, type Rtnetlink } from './socket.ts';

/** <linux/netlink.h>, <linux/genetlink.h> */
const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR = { familyId: 1, familyName: 2 } as const;
export const GENL_HEADER = 4;

/** Runs `use` with a socket to the parts of a namespace's kernel that have names instead of numbers. @throws Errno, and what `use` throws */
export function withGenetlink<T>(netns: Netns | undefined, use: (genetlink: Rtnetlink) => T): T {
  const genetlink = openNetlink(NETLINK_GENERIC, netns);
  try {
    return use(genetlink);
  } finally {
    genetlink.close();
  }
}

/** The message type of a family; undefined: this kernel has none of that name. Asking may load its module. @throws NetlinkError */
export function familyOf(genetlink: Pick<Rtnetlink, 'get'>, name: string): number | undefined {
  const answer = genetlink.get({
    type: GENL_ID_CTRL,
    flags: 0,
    body: Buffer.concat([genlHeader(CTRL_CMD_GETFAMILY, 1), text(CTRL_ATTR.familyName, name)]),
    words: `genl ctrl get name ${name}`,
    ignore: ['ENOENT'],
  });
  const found = attributes(answer?.body.subarray(GENL_HEADER) ?? Buffer.alloc(0));
  return found.get(CTRL_ATTR.familyId)?.readUInt16LE(0);
}

/** struct genlmsghdr */
export const genlHeader = (command: number, version: number): Buffer =>
  Buffer.from([command, version, 0, 0]);
