import { chain, type Clock } from '@nsm/chain';
import {
  authorize,
  expire,
  ipam,
  kernelMechanism,
  lifecycle,
  mechanisms,
  noopMechanism,
  ownNamespace,
  policyRoute,
  sendNetns,
  trimPath,
  updatePath,
  updateToken,
  validate,
  type ConnectionElement,
  type Connections,
} from '@nsm/connection';
import type { TokenSource } from '@nsm/identity';
import type { PrefixPool } from '@nsm/ip';
import type { Policies } from '@nsm/policy';
import type { PolicyRoute } from '@nsm/proto';

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
}

/** What an endpoint does with a Request or Close: gives addresses and names its end of the wire. */
export const nseChain = (d: NseDeps): ConnectionElement =>
  chain(
    validate(d.maxPath), // nothing malformed gets any further
    updatePath(d.name, d.newId), // from here on the id is this hop's own
    updateToken(d.tokens), // needs the index of our segment
    authorize(d), // judges the tokens, of closes too, before anything is done
    lifecycle(d.connections), // one queue and one scope per connection; a close ends here and unwinds what is below
    expire(d.connections, d.clock), // closes what is not refreshed in time
    ipam({ groups: d.pools, polite: d.polite }), // a pair of addresses from each group
    policyRoute(d.policyRoutes ?? (() => [])), // what the client shall send through us, besides the addresses
    sendNetns(ownNamespace(d.netns)), // proves that it is
    mechanisms(kernelMechanism(d), noopMechanism('LOCAL'), noopMechanism('REMOTE')), // our interface, in our namespace
    trimPath(), // the path ends here
  );
