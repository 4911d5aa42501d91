import { REAPER_GROUP, tombstoneName } from './alias.ts';
import { codeOf } from './error.ts';
import {
  type Birth,
  type Change,
  type Device,
  filterName,
  type Kernel,
  type LinkState,
  type Namespace,
  type TagFilter,
} from './kernel.ts';
import { macFor, type SegmentNames } from './segment-name.ts';

/** One VLAN of one carrier as the kernel has it: a bridge, and the carrier its frames leave through with the tag. */
interface Segment {
  readonly names: SegmentNames;
  readonly bridge: Device;
  readonly carrier: LinkState;
  readonly tag: number;
}

/** A way to put tags on frames. Both functions may be called any number of times. */
export interface Tagging {
  /** From here on the bridge reaches its VLAN. */
  join(kernel: Kernel, home: Namespace, segment: Segment): void;
  /** It no longer does, and what was made for it waits for the reaper. `carrier` is undefined when it is gone. */
  leave(home: Namespace, segment: Omit<Segment, 'carrier'> & { carrier?: LinkState }): void;
}

/** Filters have their VLAN's tag as their handle, which cannot be 0. */
const UNTAGGED_HANDLE = 4096;

/** Tags by a VLAN link of the kernel, which is the bridge's uplink. For frames without a tag that is the carrier itself. */
export const linkTagging: Tagging = {
  join(kernel, home, { names, bridge, carrier, tag }) {
    if (tag === 0) {
      if (carrier.master !== bridge.index)
        home.apply([{ op: 'set', dev: carrier, to: { master: bridge.index, up: true } }]);
      return;
    }
    const found = home.link(names.uplink);
    if (found?.vlan?.tag === tag && found.vlan.parent === carrier.index) {
      if (found.master !== bridge.index || !found.up) home.apply(plug(found, bridge));
      return;
    }
    if (found !== undefined) home.apply([{ op: 'delete', dev: found }]);
    const link = birthOf(kernel, names.uplink, carrier.mtu);
    home.apply([{ op: 'add-vlan', link, parent: carrier.index, tag }]);
    home.apply(plug(link, bridge));
  },
  leave(home, { names, carrier, tag, bridge }) {
    if (tag === 0 && carrier !== undefined && carrier.master === bridge.index)
      unlessGone(() => home.apply([{ op: 'set', dev: carrier, to: { master: 0 } }]));
    buryLinks(home, [names.uplink]);
  },
};

/**
 * Tags by programs, where the kernel has no VLAN links: a pair of links is the uplink. What the bridge sends comes out of the
 * other end, where a program pushes the tag and passes it on to the carrier; at the carrier's ingress one pops it and passes it back.
 */
export const programTagging: Tagging = {
  join(kernel, home, { names, bridge, carrier, tag }) {
    let [uplink, tagger] = [home.link(names.uplink), home.link(names.tagger)];
    if (uplink === undefined || tagger === undefined || uplink.peer !== tagger.index) {
      for (const dev of [uplink, tagger])
        if (dev !== undefined) home.apply([{ op: 'delete', dev }]);
      const [link, peer] = [names.uplink, names.tagger].map((name) =>
        birthOf(kernel, name, carrier.mtu),
      );
      if (link === undefined || peer === undefined) throw new Error('a pair has two ends');
      home.apply([{ op: 'add-veth', link, peer }]);
      [uplink, tagger] = [home.link(link.index), home.link(peer.index)];
    }
    if (uplink === undefined || tagger === undefined)
      throw new Error(`${names.uplink} was made and is gone`);
    const handle = handleOf(tag);
    const popping = addFilter(home, carrier, { handle, does: 'pop', tag, to: tagger.index });
    home.apply([
      ...addFilter(home, tagger, { handle, does: 'push', tag, to: carrier.index }),
      ...popping,
      // What is behind the bridge has addresses of its own, which the carrier would not take in.
      ...(popping.length === 0
        ? []
        : [{ op: 'set', dev: carrier, to: { promisc: true } } as const]),
      ...(carrier.up ? [] : [{ op: 'set', dev: carrier, to: { up: true } } as const]),
      ...(tagger.up
        ? []
        : [{ op: 'set', dev: tagger, to: { addrGenMode: 'none', up: true } } as const]),
      ...(uplink.master === bridge.index && uplink.up ? [] : plug(uplink, bridge)),
    ]);
  },
  leave(home, { names, carrier, tag }) {
    buryLinks(home, [names.uplink, names.tagger]);
    if (carrier === undefined) return;
    home.apply([{ op: 'no-filter', dev: carrier, handle: handleOf(tag) }]);
    const left = home.filters(carrier.index);
    unlessGone(() =>
      home.apply([
        ...(left.some(({ ours }) => ours)
          ? []
          : [{ op: 'set', dev: carrier, to: { promisc: false } } as const]),
        ...(left.length === 0 ? [{ op: 'no-clsact', dev: carrier } as const] : []),
      ]),
    );
  },
};

/** A link of ours in the node's namespace. */
export const birthOf = (kernel: Kernel, name: string, mtu: number): Birth => ({
  name,
  index: kernel.newIndex(),
  mac: macFor(name),
  mtu,
});

/** Makes a link a port of a bridge. It has no addresses: the node takes no part in what it carries. */
export const plug = (dev: Device, bridge: Device): Change[] => [
  { op: 'set', dev, to: { addrGenMode: 'none' } },
  { op: 'set', dev, to: { master: bridge.index, up: true } },
];

/** Takes links of the node out of service by their names: down, the name free, for the reaper. */
export function buryLinks(home: Namespace, names: readonly string[]): void {
  for (const name of names) {
    const dev = home.link(name);
    if (dev !== undefined) buryLink(home, dev);
  }
}

/** Takes one link out of service. That it goes meanwhile, as the pair of a pod that died does, is fine. */
export const buryLink = (space: Namespace, dev: Device): void =>
  unlessGone(() =>
    space.apply([
      { op: 'set', dev, to: { up: false } },
      { op: 'set', dev, to: { name: tombstoneName(dev.index), group: REAPER_GROUP } },
    ]),
  );

function unlessGone(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (codeOf(error) !== 'ENODEV') throw error;
  }
}

function addFilter(home: Namespace, dev: Device, filter: TagFilter): Change[] {
  const name = filterName(filter);
  const known = home
    .filters(dev.index)
    .some((found) => found.ours && found.handle === filter.handle && found.name === name);
  return known
    ? []
    : [
        { op: 'clsact', dev },
        { op: 'filter', dev, filter },
      ];
}

const handleOf = (tag: number): number => (tag === 0 ? UNTAGGED_HANDLE : tag);
