import type { Counters } from '@nsm/netlink';
import type {
  End,
  PlannedNeighbour,
  PlannedPolicy,
  PlannedRoute,
  Selector,
  Sysctl,
} from './plan.ts';

/** What reconciling needs of a kernel: narrow enough for a fake to be honest. Everything is synchronous. */
export interface Kernel {
  /** Opens a namespace `inode://<dev>/<ino>` until `leave`. @throws Error with code ENOENT when it does not exist (any more) */
  enter(netns: string): Namespace;
  /** The node's own namespace, whose addresses carry the tunnels. */
  home(): Namespace;
  /** The numbers by which `home` hears of open namespaces, given where they had none; they hold nothing. */
  nsids(spaces: readonly Namespace[]): number[];
  /** An interface index that is most probably free everywhere. */
  newIndex(): number;
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
  /**
   * Makes changes in order, in as few calls as it can. The kernel goes on after a refusal.
   * @throws Error with the code of the first change that was refused; removing what is not there is no refusal
   */
  apply(changes: readonly Change[]): void;
  /**
   * Waits, for a moment at most, until a link with a carrier passes packets: the kernel activates its queue some time
   * after both ends are up, and drops what is sent before.
   */
  settle(dev: Device): void;
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
}

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
}

/** One change, in the words of `ip`. */
export type Change =
  | {
      readonly op: 'add-veth';
      readonly link: Birth;
      readonly peer: Birth;
      readonly peerIn: Namespace;
    }
  | {
      readonly op: 'add-vxlan';
      readonly link: Birth;
      readonly bornIn: Namespace;
      readonly tunnel: Tunnel;
    }
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
