import { slot, type Clock } from '@nsm/chain';
import { tokenHeaders, type TokenSource } from '@nsm/identity';
import type { Policies } from '@nsm/policy';
import { NetworkServiceDefinition, type Connection } from '@nsm/proto';
import {
  NsmError,
  type Client,
  type Descriptors,
  type Dialer,
  type HeadersFor,
  type Peer,
} from '@nsm/rpc';
import type { Call, ConnectionElement, Target } from '../call.ts';
import { namespacesIn, sendNamespaces, type NamespaceSource } from '../namespaces.ts';
import { pathOf } from '../path.ts';
import { holdAnswered, type NetnsProof } from '../prove-netns.ts';

/** How long a request may take when its caller sets no limit, in ms (contract 7.5: NSM_REQUEST_TIMEOUT). */
const DEFAULT_LIMIT_MS = 15_000;
/** How long an answer that nobody waits for any more is still awaited, to be closed, in ms. */
const GRACE_MS = 1_000;
/** How long the close of a next hop may take, in ms. */
const CLOSE_LIMIT_MS = 4_000;

interface NextHop {
  readonly target: Target;
  /** As the peer answered it: that is what it knows the connection by. */
  readonly connection: Connection;
}
const nextHop = slot<NextHop>('connect');

export interface ConnectOptions {
  readonly dialer: Dialer;
  readonly tokens: TokenSource;
  /** Judge what is answered (contract 2.10). */
  readonly policies: Policies;
  readonly clock: Clock;
  /** Descriptors of namespaces that requests and closes name go with them (contract 4.9). @default none */
  readonly namespaces?: NamespaceSource;
  /** What the next hop has to show of a namespace that it answers. @default nobody asks: it answers what it was sent */
  readonly netnsProof?: NetnsProof;
}

/** The end of a chain that goes on at the next hop: asks `call.target`, and holds the close of what it answered. */
export const connect = ({
  dialer,
  tokens,
  policies,
  clock,
  namespaces = { open: () => undefined },
  netnsProof,
}: ConnectOptions): ConnectionElement => {
  const clientOf = (target: Target): Client<typeof NetworkServiceDefinition> =>
    dialer.client(NetworkServiceDefinition, target.url);
  const headers: HeadersFor = async (server) => tokenHeaders(await tokens.issue(server));
  const sending = (urls: Iterable<string>) => (descriptors: Descriptors | undefined) => {
    if (descriptors) sendNamespaces(urls, namespaces, descriptors);
  };
  const close = async ({ target, connection }: NextHop, signal?: AbortSignal): Promise<void> => {
    await clientOf(target).close(connection, {
      signal,
      deadline: clock.now() + CLOSE_LIMIT_MS,
      headers,
      onConnection: sending(namespacesIn(connection)),
    });
  };

  /** Whether to believe an answer; one that made the connection is closed where it is not. */
  const believe = async (hop: NextHop, server: Peer | undefined, first: boolean): Promise<void> => {
    if (!server) return;
    const { index, pathSegments } = pathOf(hop.connection);
    try {
      policies.check({
        op: 'answer',
        peer: server,
        tokens: pathSegments.map(({ token }) => token),
        index,
        now: clock.now(),
        connection: hop.connection,
      });
    } catch (err) {
      if (first) await close(hop).catch(() => undefined); // it expires there
      throw err;
    }
  };

  /**
   * Sends a request; an answer that comes after the caller has given up is closed again. That of a refresh is not: there was a wire
   * before, which is as good as it was, and its caller may be a manager that was killed meanwhile.
   */
  const request = async (call: Call, target: Target) => {
    let descriptors: Descriptors | undefined;
    const send = sending(namespacesIn(call.connection, call.preferences));
    const first = call.scope.get(nextHop) === undefined;
    const abandon = new AbortController();
    const deadline = innerDeadline(call.deadline, clock.now());
    let server: Peer | undefined;
    const answer = clientOf(target).request(
      { connection: call.connection, mechanismPreferences: [...call.preferences] },
      {
        signal: abandon.signal,
        deadline,
        headers: (peer) => headers((server = peer)),
        onConnection: (line) => {
          descriptors = line;
          send(line);
        },
      },
    );
    let stopGrace = (): void => undefined;
    const giveUp = (): void => {
      stopGrace = clock.after(GRACE_MS, () => abandon.abort());
    };
    if (call.signal.aborted) giveUp();
    else call.signal.addEventListener('abort', giveUp, { once: true });
    try {
      const connection = await answer;
      await believe({ target, connection }, server, first);
      if (!call.signal.aborted) return { connection, descriptors };
      if (first) await close({ target, connection });
      throw NsmError.from(call.signal.reason);
    } finally {
      stopGrace();
      call.signal.removeEventListener('abort', giveUp);
    }
  };

  return {
    name: 'connect',
    async run(call) {
      const { scope, target } = call;
      if (!target) throw new Error('connect stands below an element that chooses the target');
      const held = scope.get(nextHop);
      if (held && held.target.url !== target.url) await scope.drop(nextHop).catch(() => undefined); // a peer that is gone needs no close
      const { connection, descriptors } = await request(call, target);
      const now: NextHop = { target, connection };
      scope.hold(nextHop, now, (signal) => close(now, signal));
      if (netnsProof)
        await holdAnswered(call, connection, { known: namespaces, proof: netnsProof, descriptors });
      return connection;
    },
  };
};

/** The next hop has a little less time, so that its refusal and its undo are done when ours would begin. */
function innerDeadline(deadline: number | undefined, now: number): number {
  const left = deadline === undefined ? DEFAULT_LIMIT_MS : Math.max(1, deadline - now);
  return now + left - Math.min(100, left / 10);
}
