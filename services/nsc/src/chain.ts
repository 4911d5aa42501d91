import { chain, type Clock } from '@nsm/chain';
import {
  connect,
  followNextHop,
  lifecycle,
  ownNamespace,
  toManager,
  updatePath,
  updateToken,
  type ConnectionElement,
  type Connections,
  type Peers,
} from '@nsm/connection';
import type { TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import type { Dialer } from '@nsm/rpc';
import { excludeOthers } from './exclude-others.ts';
import { oneByOne } from './one-by-one.ts';

export interface NscDeps {
  readonly name: string;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly tokens: TokenSource;
  readonly policies: Policies;
  readonly connections: Connections;
  readonly dialer: Dialer;
  readonly peers: Peers;
  /** The manager of this node. */
  readonly managerUrl: string;
  /** The namespace interfaces are made in: inode://dev/ino. */
  readonly netns: string;
  /** Whether two wires, by their ids, may have the same addresses. */
  readonly share: (id: string, other: string) => boolean;
}

/** What a client does: it is the origin of the path, and asks the manager of its node. */
export const nscChain = (d: NscDeps): ConnectionElement =>
  chain(
    updatePath(d.name, d.newId), // the path begins here
    updateToken(d.tokens), // our token, for whoever reads the path
    lifecycle(d.connections), // one queue and one scope per wire: a close of ours unwinds to a Close at the manager
    oneByOne(d.clock), // so that the next one knows what this one has got
    excludeOthers(d.share), // keeps their addresses apart
    toManager(d.managerUrl),
    followNextHop(d.peers), // hears what becomes of it there
    connect({ ...d, namespaces: ownNamespace(d.netns) }), // holds "close at the manager" with the answer it got
  );
