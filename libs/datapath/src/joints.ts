import { createHash } from 'node:crypto';
import {
  bridgeAdd,
  fdbDelete,
  getLink,
  type Link,
  linkDelete,
  linkSet,
  listLinks,
  type NetlinkEvent,
  type Netns,
  openEvents,
  type Rtnetlink,
  withRtnetlink,
} from '@nsm/netlink';
import { REAPER_GROUP, tombstoneName } from './alias.ts';
import { codeOf } from './error.ts';
import { macFor } from './segment-name.ts';

/** Pairs of interfaces of one namespace that are one wire: what comes in on one leaves by the other, whatever it is. */
export interface Joints {
  /**
   * Joins two interfaces, by their names; one that is not there yet joins when it comes. May be repeated. `id` names the pair.
   * @throws NetlinkError EPERM without CAP_NET_ADMIN, EINVAL where an interface has no link-layer addresses
   */
  join(id: string, ends: readonly [string, string]): void;
  /** Nothing passes any more. A pair that is not joined is parted already. @throws NetlinkError */
  part(id: string): void;
  /** Listens no longer. What is joined stays so. */
  close(): void;
}

export interface JointsOptions {
  /** @default this process's own namespace */
  readonly netns?: Netns;
  /** Told of an interface that has come and could not be joined. */
  readonly onFault: (name: string, error: unknown) => void;
}

const ALIAS_PREFIX = 'nsm-joint:';

interface Joint {
  readonly id: string;
  readonly ends: readonly [string, string];
}

/**
 * A bridge per pair, so that what passes can be filtered (nft, family bridge), and goes on when this process does not. The ends of both
 * wires have the link-layer addresses of each other's far ends: the bridge must not take such frames for its own. Tries at once
 * whether it may make bridges, and removes those of an earlier process whose wires have gone.
 * @throws NetlinkError EPERM without CAP_NET_ADMIN, EOPNOTSUPP where the kernel has no bridges
 */
export function createJoints({ netns, onFault }: JointsOptions): Joints {
  const own = <T>(use: (rtnetlink: Rtnetlink) => T): T => withRtnetlink(netns, use);
  const joints = new Map<string, Joint>();
  const byEnd = new Map<string, Joint>();
  /** Bridges of an earlier process that nobody has asked for yet. */
  let orphans = own((rtnetlink) => {
    tryOut(rtnetlink);
    return sweep(rtnetlink, new Set());
  });
  const arrived = (link: Link): void => {
    const joint = byEnd.get(link.name);
    if (joint === undefined) return;
    try {
      own((rtnetlink) => plug(rtnetlink, link, bridgeOf(rtnetlink, joint)));
    } catch (error) {
      if (codeOf(error) !== 'ENODEV') onFault(link.name, error);
    }
  };
  const hear = (event: NetlinkEvent): void => {
    if (event.event === 'lost') own(listLinks).forEach(arrived);
    else if (!isOwn(event)) return;
    else if (event.event === 'link') arrived(event.link);
    else if (orphans.size > 0)
      orphans = own((rtnetlink) => sweep(rtnetlink, new Set(joints.keys())));
  };
  const events = openEvents(hear, netns === undefined ? {} : { netns });

  const forget = (id: string): void => {
    for (const end of joints.get(id)?.ends ?? []) byEnd.delete(end);
    joints.delete(id);
  };
  return {
    join: (id, ends) => {
      forget(id);
      const joint = { id, ends };
      joints.set(id, joint);
      for (const end of ends) byEnd.set(end, joint);
      orphans.delete(id);
      own((rtnetlink) => {
        const bridge = bridgeOf(rtnetlink, joint);
        for (const end of ends) {
          const link = getLink(rtnetlink, end);
          if (link !== undefined) plug(rtnetlink, link, bridge);
        }
      });
    },
    part: (id) => {
      forget(id);
      own((rtnetlink) => {
        const bridge = getLink(rtnetlink, nameOf(id));
        if (bridge === undefined) return;
        // Deletion waits in the kernel: it is left to the reaper, who comes for the wires as well.
        const name = tombstoneName(bridge.index);
        rtnetlink.request([linkSet(bridge, { up: false })]);
        rtnetlink.request([linkSet(bridge, { name, group: REAPER_GROUP })]);
      });
    },
    close: () => events.close(),
  };
}

const isOwn = (
  event: NetlinkEvent,
): event is Extract<NetlinkEvent, { readonly event: 'link' | 'no-link' }> =>
  (event.event === 'link' || event.event === 'no-link') && event.nsid === undefined;

const nameOf = (id: string): string =>
  `nsmj${createHash('sha256').update(id).digest('hex').slice(0, 10)}`;

function tryOut(rtnetlink: Rtnetlink): void {
  const name = `nsm-try-${process.pid}`;
  // One that an earlier process was killed with is as good: in containers all have the same id.
  rtnetlink.request([{ ...bridgeAdd({ name }), ignore: ['EEXIST'] }]);
  const made = getLink(rtnetlink, name);
  if (made !== undefined) rtnetlink.request([linkDelete(made)]);
}

/** Removes bridges without a wire, but those of `kept`; answers whose are left. */
function sweep(rtnetlink: Rtnetlink, kept: ReadonlySet<string>): Set<string> {
  const links = listLinks(rtnetlink);
  const busy = new Set(links.map(({ master }) => master));
  const left = new Set<string>();
  for (const link of links) {
    if (!link.alias.startsWith(ALIAS_PREFIX) || link.group === REAPER_GROUP) continue;
    const id = link.alias.slice(ALIAS_PREFIX.length);
    if (kept.has(id)) continue;
    if (busy.has(link.index)) left.add(id);
    else rtnetlink.request([linkDelete(link)]);
  }
  return left;
}

function bridgeOf(rtnetlink: Rtnetlink, { id }: Joint): Link {
  const name = nameOf(id);
  const found = getLink(rtnetlink, name);
  if (found?.up === true) return found;
  if (found === undefined) rtnetlink.request([bridgeAdd({ name, mac: macFor(name) })]);
  const made = found ?? getLink(rtnetlink, name);
  if (made === undefined) throw new Error(`${name} was made and is gone`);
  // It takes no part in what it carries: the addresses of its ports are those of this namespace.
  rtnetlink.request([
    linkSet(made, { alias: `${ALIAS_PREFIX}${id}`, addrGenMode: 'none', arp: false }),
    linkSet(made, { up: true }),
  ]);
  return made;
}

function plug(rtnetlink: Rtnetlink, link: Link, bridge: Link): void {
  rtnetlink.request([
    ...(link.master === bridge.index ? [] : [linkSet(link, { master: bridge.index })]),
    fdbDelete(link, link.mac),
  ]);
}
