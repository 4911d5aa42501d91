import type { Counters, NetlinkEvent } from '@nsm/netlink';
import { DatapathError } from './error.ts';
import {
  type BirthOp,
  type Entry,
  named,
  noDevice,
  onLink,
  refusal,
  routeOut,
} from './fake-links.ts';
import { createFakeRules, type FakeRules } from './fake-rules.ts';
import type { Birth, Change, Device, Kernel, Namespace, Tunnel } from './kernel.ts';
import { policiesOf } from './policies.ts';

/** A kernel in memory: as strict as the real one about what reconciling relies on (names, indexes, tunnel numbers, pairs). */
export interface FakeKernel extends Kernel {
  /** Every change so far, as `op` words: what a call costs. */
  readonly operations: readonly string[];
  /** Sysctls written, by namespace and path. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** Hears of every link that changes or goes, and of namespaces that end, as the kernel tells it. */
  onEvent(listener: (event: NetlinkEvent) => void): void;
  /** Lets a link have carried this. */
  carry(netns: string, name: string, counters: Partial<Counters>): void;
  /** Ends a namespace and what is in it. */
  removeNetns(netns: string): void;
  /** The same kernel as a forwarder in the namespace `node` sees it: tunnel numbers are unique per node. */
  forNode(node: string): Kernel;
  /** Whether a packet from `netns` to `dst` would arrive: a route out, over a wire or tunnel whose other end is up and has `dst`. */
  reaches(netns: string, dst: string): boolean;
  /** The namespaces that were ever entered and still exist. */
  namespaces(): string[];
}

const HOME = 'inode://0/1';
const NOTHING: Counters = {
  rxPackets: 0n,
  txPackets: 0n,
  rxBytes: 0n,
  txBytes: 0n,
  rxErrors: 0n,
  txErrors: 0n,
  rxDropped: 0n,
  txDropped: 0n,
};

/** An empty kernel in which every namespace exists until it is removed. */
export function createFakeKernel({
  tagging = 'program',
}: { readonly tagging?: 'link' | 'program' } = {}): FakeKernel {
  const spaces = new Map<string, Map<number, Entry>>([[HOME, new Map()]]);
  const rules = new Map<string, FakeRules>();
  const gone = new Set<string>();
  const operations: string[] = [];
  const sysctls = new Map<string, string>();
  const nsids: string[] = [];
  const listeners: ((event: NetlinkEvent) => void)[] = [];
  let lastIndex = 0x2000_0000;

  const nsidOf = (netns: string): number => {
    const known = nsids.indexOf(netns);
    return known === -1 ? nsids.push(netns) - 1 : known;
  };

  const linksOf = (netns: string): Map<number, Entry> => {
    const links = spaces.get(netns) ?? new Map<number, Entry>();
    spaces.set(netns, links);
    return links;
  };
  const rulesOf = (netns: string): FakeRules => {
    const known = rules.get(netns) ?? createFakeRules();
    rules.set(netns, known);
    return known;
  };
  const add = (netns: string, birth: Birth, kind: string, tunnel?: Tunnel): Entry => {
    const links = linksOf(netns);
    const words = `ip -n ${netns} link add ${birth.name} type ${kind}`;
    if (links.has(birth.index) || named(links, birth.name)) throw refusal(words, 'EEXIST');
    const { name, index, mac, mtu = 1500 } = birth;
    const base = { name, index, mac, mtu, alias: '', up: false, group: 0, kind, counters: NOTHING };
    const entry: Entry = {
      state: tunnel === undefined ? base : { ...base, vxlan: tunnel },
      addresses: [],
      routes: [],
      tableRoutes: [],
      neighbours: [],
    };
    links.set(index, entry);
    return entry;
  };
  const tell = (event: 'link' | 'no-link', netns: string, { state }: Entry): void => {
    const { vxlan: _, ...link } = state;
    for (const listener of listeners)
      listener({
        event,
        nsid: nsidOf(netns),
        link: { ...link, operstate: link.up ? 'up' : 'down' },
      });
  };
  const drop = (netns: string, entry: Entry): void => {
    if (linksOf(netns).delete(entry.state.index)) tell('no-link', netns, entry);
    const { pair } = entry;
    const other = pair && linksOf(pair.netns).get(pair.index);
    if (pair === undefined || other === undefined) return;
    linksOf(pair.netns).delete(pair.index);
    tell('no-link', pair.netns, other);
  };
  const born = (netns: string, change: Change): void => {
    if (change.op === 'add-veth') {
      const one = add(netns, change.link, 'veth');
      const { netns: there } = change.peerIn ?? { netns };
      try {
        const other = add(there, change.peer, 'veth');
        one.pair = { netns: there, index: other.state.index };
        other.pair = { netns, index: one.state.index };
        one.state = { ...one.state, peer: other.state.index };
        other.state = { ...other.state, peer: one.state.index };
      } catch (error) {
        drop(netns, one);
        throw error;
      }
    }
    if (change.op === 'add-wireguard')
      add(change.bornIn.netns, change.link, 'wireguard').node = netns;
    if (change.op === 'add-bridge') add(netns, change.link, 'bridge');
    if (change.op === 'add-vlan') {
      const { link, parent, tag } = change;
      if (!linksOf(netns).has(parent)) throw noDevice(netns, link);
      const entry = add(netns, link, 'vlan');
      entry.state = { ...entry.state, vlan: { tag, parent } };
    }
    if (change.op === 'add-vxlan') {
      const { vni, port } = change.tunnel;
      const taken = [...spaces.values()]
        .flatMap((links) => [...links.values()])
        .some(
          ({ state, node }) =>
            node === netns && state.vxlan?.vni === vni && state.vxlan.port === port,
        );
      const words = `ip -n ${netns} link add ${change.link.name} type vxlan id ${vni} dstport ${port}`;
      if (taken)
        throw refusal(words, 'EEXIST', 'A VXLAN device with the specified VNI already exists');
      add(change.bornIn.netns, change.link, 'vxlan', change.tunnel).node = netns;
    }
  };
  const move = (netns: string, dev: Device, name: string, to: string): void => {
    const entry = linksOf(netns).get(dev.index);
    if (entry === undefined) throw noDevice(netns, dev);
    if (named(linksOf(to), name) !== undefined)
      throw refusal(`ip -n ${netns} link set dev ${dev.name} netns ${to} name ${name}`, 'EEXIST');
    linksOf(netns).delete(dev.index);
    entry.state = { ...entry.state, name };
    linksOf(to).set(dev.index, entry);
  };
  const apply = (netns: string, change: Change): void => {
    operations.push(change.op);
    const links = linksOf(netns);
    if (isBirth(change)) born(netns, change);
    else if (change.op === 'move') move(netns, change.dev, change.name, change.to.netns);
    else if (change.op === 'sysctl')
      sysctls.set(`${netns} ${change.sysctl.path}`, change.sysctl.value);
    else if ('rule' in change) rulesOf(netns).apply(change);
    else if (change.op === 'delete-group') {
      for (const entry of [...links.values()])
        if (entry.state.group === change.group) drop(netns, entry);
    } else {
      const entry = links.get(change.dev.index);
      if (entry !== undefined) {
        onLink(netns, links, entry, change, () => drop(netns, entry));
        if (change.op === 'set') tell('link', netns, entry);
      } else if (change.op !== 'delete' && !change.op.startsWith('no-'))
        throw noDevice(netns, change.dev);
    }
  };
  const policyState = (netns: string): Pick<Namespace, 'rules' | 'tableRoutes'> => ({
    rules: () => rulesOf(netns).list(),
    tableRoutes: () => [...linksOf(netns).values()].flatMap(({ tableRoutes }) => tableRoutes),
  });
  const open = (netns: string): Namespace => ({
    netns,
    ...policyState(netns),
    link: (by) =>
      typeof by === 'number' ? linksOf(netns).get(by)?.state : named(linksOf(netns), by)?.state,
    links: () => [...linksOf(netns).values()].map(({ state }) => state),
    programmed: (index) => {
      const { addresses, routes, neighbours } = linksOf(netns).get(index) ?? {
        addresses: [],
        routes: [],
        neighbours: [],
      };
      return {
        addresses: [...addresses],
        routes: [...routes],
        neighbours: [...neighbours],
        ...policiesOf(policyState(netns), index),
      };
    },
    wireguard: ({ index }) => linksOf(netns).get(index)?.device,
    filters: (index) => [...(linksOf(netns).get(index)?.filters ?? [])],
    apply: (changes) => {
      let first: Error | undefined;
      for (const change of changes)
        try {
          apply(netns, change);
        } catch (error) {
          first ??= error instanceof Error ? error : new Error(String(error));
        }
      if (first !== undefined) throw first;
    },
    settle: () => undefined,
    leave: () => undefined,
  });

  const farEnd = (out: Entry): Entry | undefined => {
    const tunnel = out.state.vxlan;
    const links = [...spaces.values()].flatMap((entries) => [...entries.values()]);
    if (out.device !== undefined) return links.find((entry) => speaks(out, entry));
    if (tunnel === undefined) return out.pair && linksOf(out.pair.netns).get(out.pair.index);
    return links.find(
      ({ state: { vxlan } }) =>
        vxlan?.vni === tunnel.vni && vxlan.local === tunnel.remote && vxlan.remote === tunnel.local,
    );
  };
  const kernel: Kernel = {
    enter: (netns) => {
      if (!gone.has(netns)) return open(netns);
      const message = `network namespace ${netns} not found`;
      throw new DatapathError({ message, code: 'ENOENT', operation: '' });
    },
    home: () => open(HOME),
    nsids: (opened) =>
      opened.map(({ netns }) => {
        const isNew = !nsids.includes(netns);
        return { nsid: nsidOf(netns), isNew };
      }),
    linkAt: (nsid, name) => named(linksOf(nsids[nsid] ?? ''), name)?.state,
    deleteAt: (nsid, dev) => apply(nsids[nsid] ?? '', { op: 'delete', dev }),
    deleteGroupAt: (nsid, group) => apply(nsids[nsid] ?? '', { op: 'delete-group', group }),
    newIndex: () => (lastIndex += 1),
    tagging: () => tagging,
  };

  return {
    ...kernel,
    operations,
    sysctls,
    forNode: (node) => ({ ...kernel, home: () => open(node) }),
    reaches: (netns, dst) => {
      const out = routeOut(linksOf(netns), dst);
      const far = out && farEnd(out);
      return (
        far?.state.up === true && far.addresses.some((address) => address.split('/')[0] === dst)
      );
    },
    onEvent: (listener) => void listeners.push(listener),
    carry: (netns, name, counters) => {
      const entry = named(linksOf(netns), name);
      if (entry !== undefined)
        entry.state = { ...entry.state, counters: { ...NOTHING, ...counters } };
    },
    removeNetns: (netns) => {
      for (const entry of [...linksOf(netns).values()]) drop(netns, entry);
      gone.add(netns);
      spaces.delete(netns);
      rules.delete(netns);
      for (const listener of listeners) listener({ event: 'no-netns', nsid: nsidOf(netns) });
    },
    namespaces: () => [...spaces.keys()].filter((netns) => netns !== HOME && !gone.has(netns)),
  };
}

const isBirth = (change: Change): change is BirthOp => change.op.startsWith('add-');

/** Whether two WireGuard devices are each other's peers. */
const speaks = ({ device: one }: Entry, { device: other }: Entry): boolean =>
  one?.peers[0]?.key === other?.keys.publicKey && other?.peers[0]?.key === one?.keys.publicKey;
