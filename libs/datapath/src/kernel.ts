import type { Counters, NamespaceNumber } from '@nsm/netlink';
import type {
  End,
  PlannedNeighbour,
  PlannedPolicy,
  PlannedRoute,
  Selector,
  Sysctl,
} from './plan.ts';
import type { DeviceSetting, DeviceState } from './wireguard/device.ts';

/** What reconciling needs of a kernel: narrow enough for a fake to be honest. Everything is synchronous. */
export interface Kernel {
  /** Opens a namespace `inode://<dev>/<ino>` until `leave`. @throws Error with code ENOENT when it does not exist (any more) */
  enter(netns: string): Namespace;
  /** The node's own namespace, whose addresses carry the tunnels. */
  home(): Namespace;
  /** The numbers by which `home` hears of open namespaces, given where they had none; they hold nothing. */
  nsids(spaces: readonly Namespace[]): NamespaceNumber[];
  /** A link of a namespace by its number there, without entering it; undefined: it is not there, or cannot be seen that way. */
  linkAt(nsid: number, name: string): LinkState | undefined;
  /** Deletes a link of a namespace by its number there, without entering it. None at all is fine. */
  deleteAt(nsid: number, dev: Device): void;
  /** The same for all links of a group. */
  deleteGroupAt(nsid: number, group: number): void;
  /** An interface index that is most probably free everywhere. */
  newIndex(): number;
  /** How this kernel puts tags on frames: by links of its own, or by programs where it has no such links. */
  tagging(): 'link' | 'program';
}

/** One namespace while it is open. */
export interface Namespace {
  readonly netns: string;
  /** With its counters, which `links` leaves out. */
  link(by: string | number): LinkState | undefined;
  links(): LinkState[];
  /** What is programmed on a link, without what the kernel puts there by itself. */
  programmed(index: number): Programmed;
  /** The rules of everybody, both families, as far as they look into a table. */
  rules(): PolicyRule[];
  /** The routes of everybody in other tables than the three that every namespace has. */
  tableRoutes(): TableRoute[];
  /** The filters at the ingress and egress of a link, whoever put them there. */
  filters(index: number): KnownFilter[];
  /** What a WireGuard device of the kernel's own is set to; undefined: it has no key. */
  wireguard(dev: Device): DeviceState | undefined;
  /**
   * Makes changes in order, in as few calls as it can. The kernel goes on after a refusal.
   * @throws Error with the code of the first change that was refused; removing what is not there is no refusal
   */
  apply(changes: readonly Change[]): void;
  /**
   * Waits, for a moment at most, until a link takes packets: the kernel activates the queue of one with a carrier some time after
   * both ends are up, delivers to a new IPv6 address some time after it was added, and drops what comes before.
   * @param addresses with their length
   */
  settle(
    dev: Device,
    what: { readonly carrier: boolean; readonly addresses: readonly string[] },
  ): void;
  leave(): void;
}

/** A link as the kernel has it. */
export interface LinkState {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly group: number;
  readonly kind: string;
  /** veth: index of the other end in its own namespace. */
  readonly peer?: number;
  readonly vxlan?: Tunnel;
  readonly counters?: Counters;
  /** Index of the bridge it is a port of. */
  readonly master?: number;
  /** The tag of a VLAN link, and the index of the link that carries it. */
  readonly vlan?: { readonly tag: number; readonly parent: number };
}

/** At the ingress of a link: every frame gets the tag, or those that have it lose it; they go on through the link `to`, an index. */
export interface TagFilter {
  /** Unique on its link. */
  readonly handle: number;
  readonly does: 'push' | 'pop';
  readonly tag: number;
  readonly to: number;
}

/** A filter that is there: `name` says what it does, see `filterName`. */
export interface KnownFilter {
  readonly handle: number;
  readonly name: string;
  readonly ours: boolean;
}

/** What a filter of ours is called in the kernel: two that do the same are called the same. */
export const filterName = ({ does, tag, to }: TagFilter): string => `nsm ${does} ${tag} to if${to}`;

/** The identity of a tunnel device. */
export interface Tunnel {
  readonly vni: number;
  readonly local: string;
  readonly remote: string;
  readonly port: number;
}

/** What the kernel has on a link, in the texts of a plan. */
export interface Programmed extends Pick<End, 'addresses' | 'routes' | 'neighbours'> {
  /** Absent: none. */
  readonly policies?: readonly InstalledPolicy[];
}

/** A policy as the kernel has it: the rule, and the routes of its table that leave by one link. */
export interface InstalledPolicy extends PlannedPolicy {
  readonly table: number;
  readonly priority: number;
}

/** A rule that sends packets to a table. */
export interface PolicyRule extends Selector {
  readonly family: 4 | 6;
  readonly table: number;
  /** The lower, the earlier it is tried. */
  readonly priority: number;
  /** Whether the mesh made it, whoever's wire it is for. */
  readonly ours: boolean;
}

/** A route of a table, and the link it leaves by. */
export interface TableRoute {
  readonly table: number;
  readonly index: number;
  readonly route: PlannedRoute;
}

/** A link at its birth. */
export interface Birth {
  readonly name: string;
  readonly index: number;
  readonly mac: string;
  readonly mtu?: number;
}

/** Which link a change is about. */
export interface Device {
  readonly index: number;
  readonly name: string;
}

/** What is set on a link that exists. */
interface LinkSetting {
  readonly name?: string;
  readonly alias?: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly group?: number;
  readonly up?: boolean;
  readonly addrGenMode?: 'none';
  /** Index of the bridge to become a port of; 0: of none. */
  readonly master?: number;
  /** Frames for other stations are taken in. */
  readonly promisc?: boolean;
}

/** One change, in the words of `ip`. */
export type Change =
  | {
      readonly op: 'add-veth';
      readonly link: Birth;
      readonly peer: Birth;
      /** Absent: beside the other. */
      readonly peerIn?: Namespace;
    }
  | {
      readonly op: 'add-vxlan';
      readonly link: Birth;
      readonly bornIn: Namespace;
      readonly tunnel: Tunnel;
    }
  | {
      readonly op: 'add-wireguard';
      readonly link: Birth;
      readonly bornIn: Namespace;
    }
  | { readonly op: 'wireguard'; readonly dev: Device; readonly setting: DeviceSetting }
  | { readonly op: 'add-bridge'; readonly link: Birth }
  | {
      readonly op: 'add-vlan';
      readonly link: Birth;
      readonly parent: number;
      readonly tag: number;
    }
  | { readonly op: 'clsact' | 'no-clsact'; readonly dev: Device }
  | { readonly op: 'filter'; readonly dev: Device; readonly filter: TagFilter }
  | { readonly op: 'no-filter'; readonly dev: Device; readonly handle: number }
  | {
      /** Moves a link to a namespace, under another name. */
      readonly op: 'move';
      readonly dev: Device;
      readonly name: string;
      readonly to: Namespace;
    }
  | { readonly op: 'set'; readonly dev: Device; readonly to: LinkSetting }
  | { readonly op: 'delete'; readonly dev: Device }
  | { readonly op: 'delete-group'; readonly group: number }
  | { readonly op: 'address' | 'no-address'; readonly dev: Device; readonly address: string }
  | {
      readonly op: 'route' | 'no-route';
      readonly dev: Device;
      readonly route: PlannedRoute;
      /** @default the main one */
      readonly table?: number;
    }
  | { readonly op: 'rule' | 'no-rule'; readonly rule: Omit<PolicyRule, 'ours'> }
  | {
      readonly op: 'neighbour' | 'no-neighbour';
      readonly dev: Device;
      readonly neighbour: PlannedNeighbour;
    }
  | { readonly op: 'sysctl'; readonly sysctl: Sysctl };
