import { attribute, attributes, u32 } from './attribute.ts';
import type { Rtnetlink } from './socket.ts';

/** <linux/rtnetlink.h>, <linux/net_namespace.h> */
const RTM_NEWNSID = 88;
export const RTM_DELNSID = 89;
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
/** Also what asks the kernel to choose. */
const NOT_ASSIGNED = -1;

/** struct rtgenmsg, padded: no address family. */
const HEADER = Buffer.alloc(4);

/** The number by which a namespace is known in another one. */
export interface NamespaceNumber {
  readonly nsid: number;
  /** It had none before. */
  readonly isNew: boolean;
}

/**
 * The number by which the namespace of `rtnetlink` knows the one of an open descriptor; it is given one when it has none. Only what
 * has a number is heard by `openEvents`. The number holds nothing: it outlives this process and ends with the namespace.
 * `ip netns set NAME auto`
 * @throws NetlinkError
 */
export function nsidOf(rtnetlink: Rtnetlink, fd: number): NamespaceNumber {
  const body = Buffer.concat([HEADER, u32(NETNSA_FD, fd)]);
  const known = (): number => {
    const answer = rtnetlink.get({ type: RTM_GETNSID, flags: 0, body, words: 'ip netns list-id' });
    return answer === undefined ? NOT_ASSIGNED : decodeNsid(answer.body);
  };
  const before = known();
  if (before !== NOT_ASSIGNED) return { nsid: before, isNew: false };
  const any = Buffer.alloc(4);
  any.writeInt32LE(NOT_ASSIGNED);
  rtnetlink.request([
    {
      type: RTM_NEWNSID,
      flags: 0,
      body: Buffer.concat([body, attribute(NETNSA_NSID, any)]),
      words: 'ip netns set auto',
      // Somebody else was faster.
      ignore: ['EEXIST'],
    },
  ]);
  return { nsid: known(), isNew: true };
}

/** Reads the number out of a RTM_*NSID message. */
export const decodeNsid = (body: Buffer): number =>
  attributes(body.subarray(HEADER.length)).get(NETNSA_NSID)?.readInt32LE(0) ?? NOT_ASSIGNED;
