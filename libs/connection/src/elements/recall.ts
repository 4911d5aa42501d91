import type { Clock } from '@nsm/chain';
import { State, type Connection, type Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { withConnection, type ConnectionElement } from '../call.ts';
import type { Connections } from '../connections.ts';
import { INTERFACE_NAME, NETNS_URL } from '../mechanism.ts';
import { pathOf } from '../path.ts';

/** How long what a wire goes to may be missing, in ms: with its manager an endpoint has lost its entry, and registers again. */
const MISSING_MS = 3_000;

/**
 * A client that died together with the hop between it and us has lost the path of its wire, and nobody could tell it; the wire is here,
 * and its interface has the name. A request for the same wire out of the same namespace goes on as the refresh it would have been, or
 * as a reselection where the wire is down. Stands above update-path: the id on this hop is found again.
 */
export const recall = (
  connections: Pick<Connections, 'startedBy' | 'update'>,
  clock: Pick<Clock, 'now'>,
): ConnectionElement => {
  /** Since when it is, in ms since 1970. */
  const missing = new WeakMap<Connection, number>();
  return {
    name: 'recall',
    async run(call, next) {
      const { op, connection: asked, preferences } = call;
      const { index, pathSegments } = pathOf(asked);
      const isNew = op === 'request' && pathSegments.length === index + 1;
      const [origin] = pathSegments;
      const found =
        isNew && origin
          ? connections.startedBy(origin.id).find((known) => isSame(known, asked, preferences))
          : undefined;
      if (!found) return next(call);
      const rest = pathOf(found).pathSegments.slice(index + 1);
      const { id, labels } = asked;
      const path = { index, pathSegments: [...pathSegments, ...rest] };
      if (found.state === State.DOWN || asked.state === State.RESELECT_REQUESTED)
        return next(withConnection(call, { path, state: State.RESELECT_REQUESTED }));
      try {
        return await next(withConnection(call, { ...found, id, labels, path }));
      } catch (thrown) {
        if (!GONE.has(NsmError.from(thrown).code)) throw thrown;
        const since = missing.get(found) ?? clock.now();
        missing.set(found, since);
        if (clock.now() - since >= MISSING_MS)
          connections.update(found.id, (known) => ({ ...known, state: State.DOWN }));
        throw thrown;
      }
    },
  };
};

/** What it goes to is not there: after a while the next request makes it anew. */
const GONE: ReadonlySet<string> = new Set(['unavailable', 'not-found', 'no-candidate', 'conflict']);

/** Whether a request whose path ends with its caller is for a connection that came the same way from the same interface. */
function isSame(known: Connection, asked: Connection, preferences: readonly Mechanism[]): boolean {
  const [theirs, ours] = [pathOf(asked), pathOf(known)];
  return (
    ours.index === theirs.index + 1 &&
    theirs.pathSegments.every(({ name }, i) => ours.pathSegments[i]?.name === name) &&
    known.networkService === asked.networkService &&
    preferences.some((mechanism) => isOf(mechanism, known.mechanism))
  );
}

/** Whether a preference names the namespace of a mechanism, and its interface if it names one. */
function isOf({ type, parameters }: Mechanism, agreed: Mechanism | undefined): boolean {
  const netns = parameters[NETNS_URL];
  const name = parameters[INTERFACE_NAME];
  return (
    agreed?.type === type &&
    netns !== undefined &&
    agreed.parameters[NETNS_URL] === netns &&
    (name === undefined || agreed.parameters[INTERFACE_NAME] === name)
  );
}
