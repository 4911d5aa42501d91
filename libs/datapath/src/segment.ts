import { REAPER_GROUP } from './alias.ts';
import { DatapathError } from './error.ts';
import type { Birth, Kernel, LinkState, Namespace } from './kernel.ts';
import type { Plan, Vlan } from './plan.ts';
import { parseSegment, portName, segmentNames, trunkName } from './segment-name.ts';
import {
  birthOf,
  buryLink,
  buryLinks,
  linkTagging,
  plug,
  programTagging,
  type Tagging,
} from './tagging.ts';
import { ensureTrunk, sweepTrunks } from './trunk.ts';

/**
 * A segment is one VLAN of one carrier on this node: a bridge that all its wires are ports of, and an uplink that puts the tag on.
 * Wires share it, the first makes it, and it goes with the last. All of it is in the node's namespace; docs/vlan.md draws it.
 */

/** What a wire needs beside its own links. `onBuried` hears of namespaces with work for the reaper. */
export interface Segments {
  /** Runs `wire` with the segment of a plan there; takes an unused one away again when that fails. */
  with<T>(plan: Plan, link: Vlan, wire: () => T): T;
  /** Takes the port of a wire out of service, and then every segment and trunk without one, whoever left it. */
  release(plan: Plan, link: Vlan): void;
}

/** The segments of one kernel. */
export function createSegments(kernel: Kernel, onBuried: (netns: string) => void): Segments {
  const atHome = <T>(use: (home: Namespace) => T): T => {
    const home = kernel.home();
    try {
      return use(home);
    } finally {
      home.leave();
    }
  };
  const clean = (): void => {
    for (const netns of new Set(atHome((home) => sweepSegments(kernel, home)))) onBuried(netns);
  };
  return {
    with: (plan, link, wire) => {
      try {
        atHome((home) => ensureSegment(kernel, home, plan, link));
        return wire();
      } catch (error) {
        clean();
        throw error;
      }
    },
    release: ({ id }, { side }) => {
      atHome((home) => {
        const port = home.link(portName(id, side));
        // It goes with its other end, the workload's; until then it is no port that counts.
        if (port !== undefined) buryLinks(home, [port.name]);
      });
      clean();
    },
  };
}

/** Makes a wire of a segment: the workload's end in its namespace, the other as a port of the bridge. */
export function bearPort(
  kernel: Kernel,
  { id }: Plan,
  link: Vlan,
  end: Birth,
  space: Namespace,
): void {
  const home = kernel.home();
  try {
    const bridge = home.link(namesOf(link).bridge);
    if (bridge === undefined) throw new Error(`${namesOf(link).bridge} was made and is gone`);
    const port = birthOf(kernel, portName(id, link.side), end.mtu ?? bridge.mtu);
    home.apply([{ op: 'add-veth', link: port, peer: end, peerIn: space }]);
    home.apply(plug(port, bridge));
  } finally {
    home.leave();
  }
}

/** Whether a workload's link is the other end of its port. */
export function isPlugged(kernel: Kernel, { id }: Plan, { side }: Vlan, end: LinkState): boolean {
  const home = kernel.home();
  try {
    return end.kind === 'veth' && home.link(portName(id, side))?.index === end.peer;
  } finally {
    home.leave();
  }
}

function ensureSegment(kernel: Kernel, home: Namespace, { id }: Plan, link: Vlan): void {
  const { tag, side } = link;
  const names = namesOf(link);
  const carrier = carrierOf(kernel, home, link);
  let bridge = home.link(names.bridge);
  if (bridge === undefined) {
    const born = birthOf(kernel, names.bridge, carrier.mtu);
    home.apply([{ op: 'add-bridge', link: born }]);
    home.apply([
      { op: 'set', dev: born, to: { addrGenMode: 'none' } },
      { op: 'set', dev: born, to: { alias: names.alias, up: true } },
    ]);
    bridge = home.link(born.index);
    if (bridge === undefined) throw new Error(`${names.bridge} was made and is gone`);
  }
  taggingOf(kernel).join(kernel, home, { names, bridge, carrier, tag });
  const port = home.link(portName(id, side));
  if (port !== undefined && (port.master !== bridge.index || !port.up))
    home.apply(plug(port, bridge));
}

/** @throws DatapathError ENODEV: the node has no such link; EBUSY: it is the node's own */
function carrierOf(kernel: Kernel, home: Namespace, { carrier, tag }: Vlan): LinkState {
  if (!('device' in carrier)) return ensureTrunk(kernel, home, carrier);
  const { device } = carrier;
  const operation = `ip link show dev ${device}`;
  const found = home.link(device);
  if (found === undefined)
    throw new DatapathError({
      message: `${operation}: No such device (ENODEV): the node has no link ${device}; correct the device selector file`,
      code: 'ENODEV',
      errno: 19,
      operation,
    });
  if (tag === 0 && home.programmed(found.index).addresses.length > 0)
    throw new DatapathError({
      message: `${operation}: Device or resource busy (EBUSY): ${device} has addresses of the node, which would lose all frames without a tag; ask for a VLAN, or give wires a link of their own`,
      code: 'EBUSY',
      errno: 16,
      operation,
    });
  return found;
}

/** @returns the namespaces in which a link waits for the reaper now */
function sweepSegments(kernel: Kernel, home: Namespace): string[] {
  const links = home.links().filter(({ group }) => group !== REAPER_GROUP);
  const busy = new Set<string>();
  const buried = links.flatMap((bridge) => {
    const found = parseSegment(bridge.alias);
    if (found === undefined || bridge.kind !== 'bridge') return [];
    const names = segmentNames(found.device, found.tag);
    const ports = links.filter(
      ({ master, name }) =>
        master === bridge.index && name !== names.uplink && name !== found.device,
    );
    if (ports.length > 0) {
      busy.add(found.device);
      return [];
    }
    const carrier = links.find(({ name }) => name === found.device);
    taggingOf(kernel).leave(home, {
      names,
      bridge,
      tag: found.tag,
      ...(carrier === undefined ? {} : { carrier }),
    });
    buryLink(home, bridge);
    return [home.netns];
  });
  return [...buried, ...sweepTrunks(kernel, home, links, busy)];
}

const taggingOf = (kernel: Kernel): Tagging =>
  kernel.tagging() === 'link' ? linkTagging : programTagging;

const namesOf = ({ carrier, tag }: Vlan): ReturnType<typeof segmentNames> =>
  segmentNames('device' in carrier ? carrier.device : trunkName(carrier), tag);
