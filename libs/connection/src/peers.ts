import { pause, type Clock } from '@nsm/chain';
import {
  ConnectionEventType,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  State,
  type Connection,
  type ConnectionEvent,
} from '@nsm/proto';
import { NsmError, type Dialer } from '@nsm/rpc';
import type { Connections } from './connections.ts';
import { EVENTS_HEADER, STATES_ONLY } from './feed.ts';
import { pathOf } from './path.ts';

/** Between attempts to hear a next hop again, in ms. */
const RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/**
 * How long a next hop is still heard that no connection goes to any more, in ms: the close of the last one is under way, and whether it
 * will be answered is known by who listens.
 */
const LINGER_MS = 10_000;

/**
 * What the next hops say of the connections that go to them (contract 3.5): one monitor stream per next hop, whatever the number of
 * connections. What is deleted there, and all of them when the hop itself is gone, becomes DOWN here, which our own callers hear.
 */
export interface Peers {
  /** Listens for a connection at the next hop it goes to, until the returned function is called. */
  follow(url: string, id: string): () => void;
  /** Ends all streams. */
  close(): void;
}

export interface PeersOptions {
  /** This hop's name in paths. */
  readonly name: string;
  readonly dialer: Dialer;
  readonly connections: Connections;
  readonly clock: Clock;
}

interface Peer {
  readonly ids: Set<string>;
  readonly ending: AbortController;
}

export function createPeers({ name, dialer, connections, clock }: PeersOptions): Peers {
  const peers = new Map<string, Peer>();

  const become = (id: string, state: State): void => {
    const own = connections.get(id);
    if (own !== undefined && own.state !== state)
      connections.update(id, (connection) => ({ ...connection, state }));
  };

  const hear = ({ type, connections: told }: ConnectionEvent, { ids }: Peer): Set<string> => {
    const heard = new Set<string>();
    for (const theirs of Object.values(told)) {
      const own = ownOf(theirs, name, ids);
      if (own === undefined || !goesTo(connections.get(own), theirs)) continue;
      heard.add(own);
      become(own, type === ConnectionEventType.DELETE ? State.DOWN : theirs.state);
    }
    return heard;
  };

  /** Hears a next hop until its stream ends. */
  const listen = async (url: string, peer: Peer, heardIt: () => void): Promise<void> => {
    // What is answered while the stream opens is news to whoever wrote its first event.
    const before = new Map([...peer.ids].map((id) => [id, connections.get(id)]));
    const events = dialer
      .client(MonitorConnectionDefinition, url)
      .monitorConnections(MonitorScopeSelector.fromPartial({ pathSegments: [{ name }] }), {
        signal: peer.ending.signal,
        headers: { [EVENTS_HEADER]: STATES_ONLY },
        keepalive: true,
      });
    for await (const event of events) {
      heardIt();
      const heard = hear(event, peer);
      if (event.type !== ConnectionEventType.INITIAL_STATE_TRANSFER) continue;
      for (const [id, own] of before)
        if (peer.ids.has(id) && !heard.has(id) && connections.get(id) === own)
          become(id, State.DOWN);
    }
  };

  const keep = async (url: string, peer: Peer): Promise<void> => {
    const { signal } = peer.ending;
    const ended = (): boolean => signal.aborted;
    for (let retry = RETRY_MS; !ended(); retry = Math.min(2 * retry, LONGEST_RETRY_MS)) {
      try {
        await listen(url, peer, () => (retry = RETRY_MS));
      } catch (thrown) {
        if (saysNothing(NsmError.from(thrown))) return;
      }
      if (ended()) return;
      // However it has ended, the hop is not there any more.
      for (const id of peer.ids) become(id, State.DOWN);
      await pause(clock, retry, signal);
    }
  };

  const leave = (url: string, peer: Peer): void => {
    if (peer.ids.size > 0 || peers.get(url) !== peer) return;
    peers.delete(url);
    peer.ending.abort();
  };

  return {
    follow: (url, id) => {
      const peer = peers.get(url) ?? { ids: new Set(), ending: new AbortController() };
      peer.ids.add(id);
      if (!peers.has(url)) {
        peers.set(url, peer);
        void keep(url, peer);
      }
      return () => {
        peer.ids.delete(id);
        if (peer.ids.size === 0) clock.after(LINGER_MS, () => leave(url, peer));
      };
    },
    close: () => {
      for (const { ending } of peers.values()) ending.abort();
      peers.clear();
    },
  };
}

/** A hop that is there and tells nothing, or not us: what becomes of a connection is found out by the next refresh. */
const saysNothing = ({ code }: NsmError): boolean =>
  code === 'unimplemented' || code === 'permission-denied';

/** Our id of a connection that the next hop tells of. */
function ownOf(theirs: Connection, name: string, ids: ReadonlySet<string>): string | undefined {
  const { index, pathSegments } = pathOf(theirs);
  const own = pathSegments[index - 1];
  return own?.name === name && ids.has(own.id) ? own.id : undefined;
}

/** Whether ours continues as theirs: an event of a hop that was left says nothing. */
function goesTo(own: Connection | undefined, theirs: Connection): boolean {
  if (own === undefined) return false;
  const { index, pathSegments } = pathOf(own);
  return pathSegments[index + 1]?.id === theirs.id;
}
