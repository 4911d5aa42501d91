import { createHash } from 'node:crypto';
import type { Trunk } from './plan.ts';

/**
 * What the links of the node's namespace are called that carry VLANs. Names follow from what a link is for, so a restarted process
 * finds it; the alias says it in words, and tells what must not be touched.
 */

/** One VLAN of one carrier, on this node. */
export interface SegmentNames {
  /** The carrier and the tag. */
  readonly alias: string;
  readonly bridge: string;
  /** The bridge's way to the carrier. */
  readonly uplink: string;
  /** Where the uplink's frames come out to be tagged, if that takes a link of its own. */
  readonly tagger: string;
}

/** The names of the segment of a carrier, a link of the node by its name. */
export function segmentNames(device: string, tag: number): SegmentNames {
  const hash = hashOf(`${device}/${tag}`);
  return {
    alias: `nsm-segment:${device}/${tag}`,
    bridge: `nsmb${hash}`,
    uplink: `nsmu${hash}`,
    tagger: `nsmt${hash}`,
  };
}

/** Reads the alias of a segment's bridge; undefined when it is none. */
export function parseSegment(alias: string): { device: string; tag: number } | undefined {
  const match = /^nsm-segment:(.+)\/(\d+)$/s.exec(alias);
  return match?.[1] === undefined ? undefined : { device: match[1], tag: Number(match[2]) };
}

/** The port of a connection at its segment, the other end of what the workload has. */
export const portName = (id: string, side: string): string => `nsmp${hashOf(`${id}/${side}`)}`;

/** The node's end of a trunk, which is a carrier. */
export const trunkName = ({ netns, name }: Trunk): string => `nsmk${hashOf(`${netns}/${name}`)}`;

/** The alias of both ends of a trunk. */
export const trunkAlias = ({ netns, name }: Trunk): string => `nsm-trunk:${netns}/${name}`;

/** Reads the alias of a trunk; undefined when it is none. */
export function parseTrunk(alias: string): Trunk | undefined {
  const match = /^nsm-trunk:(inode:\/\/\d+\/\d+)\/(.+)$/s.exec(alias);
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : { netns: match[1], name: match[2] };
}

/** A link-layer address for a link of ours: locally administered, unicast (IEEE 802 section 8.2). */
export function macFor(name: string): string {
  const hash = createHash('sha256').update(name).digest();
  hash.writeUInt8((hash.readUInt8(0) & 0xfc) | 0x02, 0);
  return (hash.toString('hex', 0, 6).match(/../g) ?? []).join(':');
}

/** 40 bits: a million VLANs on a node collide once in 2 with it, the few thousand there can be do not. */
const hashOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 10);
