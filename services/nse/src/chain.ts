import { chain, type Clock } from '@nsm/chain';
import {
  asClient,
  authorize,
  connect,
  expire,
  followNextHop,
  ipam,
  joinWires,
  kernelMechanism,
  lifecycle,
  mechanisms,
  noopMechanism,
  ownNamespace,
  passThrough,
  policyRoute,
  sameMacs,
  sendNetns,
  toManager,
  translate,
  trimPath,
  updatePath,
  updateToken,
  validate,
  type ConnectionElement,
  type Connections,
  type Peers,
} from '@nsm/connection';
import type { Joints } from '@nsm/datapath';
import type { TokenSource } from '@nsm/identity';
import type { PrefixPool } from '@nsm/ip';
import type { Policies } from '@nsm/policy';
import type { PolicyRoute } from '@nsm/proto';
import type { Dialer } from '@nsm/rpc';
import { nextWire } from './next-wire.ts';

export interface NseDeps {
  readonly name: string;
  readonly newId: () => string;
  readonly random: () => number;
  readonly clock: Clock;
  readonly tokens: TokenSource;
  readonly policies: Policies;
  /** Segments a path may have. @default 64 */
  readonly maxPath?: number | undefined;
  readonly connections: Connections;
  readonly pools: readonly PrefixPool[];
  /** Keep addresses of the client that are not from the pools. */
  readonly polite: boolean;
  /** The namespace interfaces are made in: inode://dev/ino. */
  readonly netns: string;
  /** Asked at each request. @default none */
  readonly policyRoutes?: () => readonly PolicyRoute[];
  /** How to go on to another endpoint. @default connections end here */
  readonly onward?: Onward | undefined;
}

/** What an endpoint needs that others stand behind. */
export interface Onward {
  /** What it asks for the next one with. */
  readonly labels: Readonly<Record<string, string>>;
  /** The manager of this node. */
  readonly managerUrl: string;
  readonly dialer: Dialer;
  /** The same connections, as their client. */
  readonly connections: Connections;
  readonly peers: Peers;
  readonly joints: Pick<Joints, 'join' | 'part'>;
}

/** What an endpoint does with a Request or Close. */
export const nseChain = (d: NseDeps): ConnectionElement =>
  chain(
    validate(d.maxPath), // nothing malformed gets any further
    updatePath(d.name, d.newId), // from here on the id is this hop's own
    updateToken(d.tokens), // needs the index of our segment
    authorize(d), // judges the tokens, of closes too, before anything is done
    lifecycle(d.connections), // one queue and one scope per connection; a close ends here and unwinds what is below
    expire(d.connections, d.clock), // closes what is not refreshed in time
    ...(d.onward ? goOn(d, d.onward) : end(d)),
  );

/** Gives addresses and names its end of the wire. */
const end = (d: NseDeps): ConnectionElement[] => [
  ipam({ groups: d.pools, polite: d.polite }), // a pair of addresses from each group
  policyRoute(d.policyRoutes ?? (() => [])), // what the client shall send through us, besides the addresses
  sendNetns(ownNamespace(d.netns)), // proves that it is
  mechanisms(kernelMechanism(d), noopMechanism('LOCAL'), noopMechanism('REMOTE')), // our interface, in our namespace
  trimPath(), // the path ends here
];

/** Has the next endpoint do that, and joins the two wires. */
const goOn = (
  d: NseDeps,
  { labels, joints, managerUrl, ...client }: Onward,
): ConnectionElement[] => [
  sendNetns(ownNamespace(d.netns)), // proves that it is
  mechanisms(kernelMechanism(d)), // our interface, in our namespace
  joinWires(joints), // acts when both interfaces are known
  sameMacs(), // frames are addressed alike on both wires, and pass as they are
  passThrough(labels), // which endpoint is the next
  translate(async (call) => [nextWire(call, d.netns)]), // the caller's wire ends here, ours begins
  asClient(d.tokens), // from here on we are a client, who only does not refresh
  updatePath(clientName(d.name), d.newId), // with a segment of its own
  updateToken(d.tokens), // our token, for whoever reads the path
  lifecycle(client.connections), // a close of ours unwinds to a Close at the manager
  toManager(managerUrl),
  followNextHop(client.peers), // hears what becomes of it there
  connect({ ...d, ...client, namespaces: ownNamespace(d.netns) }), // holds "close at the manager" with the answer it got
];

/** The name of an endpoint's client in paths: of another name, it has another segment. */
export const clientName = (name: string): string => `${name}-client`;
