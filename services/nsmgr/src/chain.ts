import { chain, type Clock } from '@nsm/chain';
import {
  admit,
  authorize,
  clientInfo,
  connect,
  discoverForwarder,
  excludedPrefixes,
  expire,
  followNextHop,
  lifecycle,
  receiveNetns,
  updatePath,
  updateToken,
  validate,
  type ConnectionElement,
  type Connections,
  type Namespaces,
  type NetnsProof,
  type Peers,
} from '@nsm/connection';
import type { TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { Discovery } from '@nsm/registry';
import type { Dialer } from '@nsm/rpc';

export interface NsmgrDeps {
  readonly name: string;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly tokens: TokenSource;
  readonly policies: Policies;
  /** Segments a path may have. @default 64 */
  readonly maxPath?: number | undefined;
  readonly connections: Connections;
  readonly dialer: Dialer;
  readonly peers: Peers;
  readonly discovery: Discovery;
  /** The network service forwarders register for. */
  readonly forwarderService: string;
  /** What other nodes dial this manager by; forwarders of this node are registered under it. */
  readonly ownUrl: string;
  /** Labels that say where clients of this node are. */
  readonly labels: Readonly<Record<string, string>>;
  /** What clients have to show of a namespace they name. */
  readonly netnsProof: NetnsProof;
  /** Of the calls under way. */
  readonly namespaces: Namespaces;
  readonly excluded: () => readonly string[];
}

/** Requests of clients of this node that are under way; more of them are not done sooner. */
const AT_ONCE = 32;

/** What a manager does with a Request or Close: chooses a forwarder of its node and goes on there. */
export const nsmgrChain = (d: NsmgrDeps): ConnectionElement =>
  chain(
    validate(d.maxPath), // nothing malformed gets any further
    receiveNetns({ namespaces: d.namespaces, proof: d.netnsProof }), // asks the origin of a path, which has no segment of ours yet
    updatePath(d.name, d.newId), // from here on the id is this hop's own
    updateToken(d.tokens), // needs the index of our segment
    authorize(d), // judges the tokens, of closes too, before anything is done
    lifecycle(d.connections), // one queue and one scope per connection; a close ends here and unwinds what is below
    expire(d.connections, d.clock), // closes what is not refreshed in time
    admit(AT_ONCE), // below the queue of its connection: who waits there has no place yet
    clientInfo(d.labels), // before any selection by labels
    excludedPrefixes(d.excluded), // before the endpoint chooses addresses
    discoverForwarder(d), // may try several; one that failed has left nothing behind
    followNextHop(d.peers), // hears what becomes of it there
    connect(d), // holds "close the next hop" with the answer it got
  );
