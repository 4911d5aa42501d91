import { ConnectionEventType, type Connection, type ConnectionEvent } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';

/**
 * Header of a monitor call by which hops of ours ask each other for less than the contract's events: a refresh that changes no state
 * is not told. Others do not know the header and tell everything.
 */
export const EVENTS_HEADER = 'nsm-monitor-events';
export const STATES_ONLY = 'states';

/** How many events a subscriber may be behind before it is cut off. */
const MAX_BEHIND = 10_000;

/** Something that happened to a connection. All subscribers are told with the same object, so that it is encoded once. */
export interface Told {
  readonly type: ConnectionEventType;
  readonly connection: Connection;
  readonly event: ConnectionEvent;
}

export const told = (type: ConnectionEventType, connection: Connection): Told => ({
  type,
  connection,
  event: eventOf(type, [connection]),
});

/** What one subscriber still has to hear. It holds up nobody else. */
export interface Feed {
  initial(connections: readonly Connection[]): ConnectionEvent;
  /** `news`: it was deleted, or its state has changed. */
  push(what: Told, news: boolean): void;
  events(): AsyncGenerator<ConnectionEvent>;
}

export interface FeedOptions {
  readonly matches: (connection: Connection) => boolean;
  /** Whether only news are told. @default false */
  readonly statesOnly?: boolean;
}

export function createFeed(
  { matches, statesOnly = false }: FeedOptions,
  signal: AbortSignal,
): Feed {
  let waiting: Told[] = [];
  /** Where the last one of each connection is among them. */
  let newest = new Map<string, number>();
  const forget = (): void => {
    waiting = [];
    newest = new Map();
  };
  let wake: (() => void) | undefined;
  let behind = false;
  const isBehind = (): boolean => behind;
  return {
    initial: (connections) =>
      eventOf(ConnectionEventType.INITIAL_STATE_TRANSFER, connections.filter(matches)),
    push: (what, news) => {
      const { type, connection } = what;
      if (behind || (statesOnly && !news) || !matches(connection)) return;
      const last = newest.get(connection.id);
      const before = last === undefined ? undefined : waiting[last]?.type;
      // A later state of the same connection stands for the earlier one that was not sent yet.
      if (
        last !== undefined &&
        before === ConnectionEventType.UPDATE &&
        type === ConnectionEventType.UPDATE
      )
        waiting[last] = what;
      else newest.set(connection.id, waiting.push(what) - 1);
      behind = waiting.length > MAX_BEHIND;
      if (behind) forget(); // what it missed cannot be made good
      wake?.();
    },
    events: async function* () {
      while (!signal.aborted) {
        if (isBehind())
          throw new NsmError('exhausted', `more than ${MAX_BEHIND} events behind`, {
            hint: 'subscribe again: the first event holds the present state',
            limit: 'unread',
          });
        const now = waiting;
        forget();
        for (const { event } of now) {
          if (isBehind()) break;
          yield event;
        }
        await new Promise<void>((resolve) => {
          const done = (): void => {
            wake = undefined;
            signal.removeEventListener('abort', done);
            resolve();
          };
          wake = done;
          signal.addEventListener('abort', done, { once: true });
          // Either may have come while the reader was busy.
          if (isBehind() || waiting.length > 0 || signal.aborted) done();
        });
      }
    },
  };
}

const eventOf = (
  type: ConnectionEventType,
  connections: readonly Connection[],
): ConnectionEvent => ({
  type,
  connections: Object.fromEntries(connections.map((connection) => [connection.id, connection])),
});
