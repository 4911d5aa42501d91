import { Scope } from '@nsm/chain';
import { ConnectionEventType, State, type Connection, type ConnectionEvent } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { Call, ConnectionNext } from './call.ts';
import { createFeed, told, type Feed, type FeedOptions } from './feed.ts';
import type { ConnectionChange } from './news.ts';
import { createOrigins } from './origins.ts';

interface Entry {
  readonly scope: Scope;
  /** What was last answered; undefined until the first success. */
  connection: Connection | undefined;
  /** The last turn taken; the next one waits for it. */
  tail: Promise<unknown>;
}

/** An established connection in its turn. */
interface Held {
  readonly connection: Connection;
  readonly scope: Scope;
}

/** The connections of one process: one queue and one scope each. Turns of one id never interleave; ids never wait for each other. */
export interface Connections {
  /** Runs a request in its turn. On success the answer is kept, state UP, and watchers hear UPDATE. `first`: there was no such connection. */
  request(
    call: Call,
    next: ConnectionNext,
  ): Promise<{ readonly connection: Connection; readonly first: boolean }>;
  /**
   * Takes down what a connection holds, in its turn, and tells watchers DELETE. An unknown id is no error: it is closed.
   * `unless` is asked in the turn: a clean-up that was overtaken by a refresh does nothing. `cause` is for those who observe.
   */
  close(
    id: string,
    options?: { readonly unless?: () => boolean; readonly cause?: string },
  ): Promise<void>;
  /** Replaces what is kept of an established connection (an event from below), and tells watchers UPDATE. */
  update(id: string, change: (connection: Connection) => Connection): void;
  /**
   * Runs `body` in the turn of an id, with what is established when it has come. The change it answers, if any, is made to the
   * connection, and watchers hear UPDATE. For work on the world that nobody requested.
   */
  inTurn(
    id: string,
    body: (held: Held | undefined) => Promise<((now: Connection) => Connection) | undefined>,
  ): Promise<void>;
  get(id: string): Connection | undefined;
  list(): readonly Connection[];
  /** Those whose path begins with this segment, by its id. */
  startedBy(origin: string): readonly Connection[];
  /** The events of connections; the first one is the initial state, always. */
  watch(options: FeedOptions, signal: AbortSignal): AsyncIterable<ConnectionEvent>;
  /** Waits until no turn is under way. */
  idle(): Promise<void>;
}

/** Told of what a close could not undo: nobody waits for it. */
export type OnUndoFailure = (id: string, failures: readonly unknown[]) => void;

export function createConnections(
  onUndoFailure: OnUndoFailure,
  onChange: (change: ConnectionChange) => void = () => undefined,
): Connections {
  const entries = new Map<string, Entry>();
  const feeds = new Set<Feed>();
  const origins = createOrigins();

  /** `was`: its state before; a connection is made UP. */
  const emit = (type: ConnectionEventType, connection: Connection, was: State = State.UP): void => {
    const news = type === ConnectionEventType.DELETE || connection.state !== was;
    if (feeds.size === 0) return;
    const what = told(type, connection);
    for (const feed of feeds) feed.push(what, news);
  };

  /** Queues `body` for an id. It looks its entry up when its turn has come: a turn before may have removed it. */
  const turn = <T>(id: string, body: (entry: Entry) => Promise<T>): Promise<T> => {
    const waiting = entries.get(id) ?? {
      scope: new Scope(),
      connection: undefined,
      tail: Promise.resolve(),
    };
    entries.set(id, waiting);
    const done = waiting.tail.then(async () => {
      const entry = entries.get(id);
      if (entry !== waiting) return turn(id, body);
      try {
        return await body(entry);
      } finally {
        if (entry.connection === undefined && entry.tail === settled) entries.delete(id);
      }
    });
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    waiting.tail = settled;
    return done;
  };

  const leave = async (id: string, entry: Entry): Promise<void> => {
    const { connection } = entry;
    entry.connection = undefined;
    if (connection) origins.remove(id, connection);
    const failures = await entry.scope.close();
    if (failures.length > 0) onUndoFailure(id, failures);
    if (connection) emit(ConnectionEventType.DELETE, connection);
  };

  return {
    request: (call, next) =>
      turn(call.connection.id, async (entry) => {
        const { id, state } = call.connection;
        // The connection is left with what was stored, then made anew (contract 3.3).
        const was = entry.connection;
        const reselected = state === State.RESELECT_REQUESTED && was !== undefined;
        if (reselected) {
          onChange({ type: 'leaving', connection: was });
          await leave(id, entry);
        }
        const first = entry.connection === undefined;
        const answer = await next({ ...call, scope: entry.scope });
        if (first && call.signal.aborted) {
          // Nobody is there to hear that it succeeded, and nobody would close it.
          await leave(id, entry);
          throw new NsmError('cancelled', 'the caller gave up before the answer was there');
        }
        entry.scope.commit();
        const established = { ...answer, state: State.UP };
        const before = entry.connection?.state;
        entry.connection = established;
        origins.add(id, established);
        emit(ConnectionEventType.UPDATE, established, before);
        onChange({ type: 'requested', connection: established, was, reselected });
        return { connection: established, first };
      }),
    close: async (id, { unless, cause = 'its caller closed it' } = {}) => {
      if (!entries.has(id)) return;
      await turn(id, async (entry) => {
        if (unless?.()) return;
        const { connection } = entry;
        await leave(id, entry);
        if (connection) onChange({ type: 'closed', connection, cause });
      });
    },
    update: (id, change) => {
      const entry = entries.get(id);
      if (!entry?.connection) return;
      const was = entry.connection;
      entry.connection = change(was);
      emit(ConnectionEventType.UPDATE, entry.connection, was.state);
      onChange({ type: 'state', connection: entry.connection, was });
    },
    inTurn: (id, body) =>
      turn(id, async (entry) => {
        const { connection, scope } = entry;
        const change = await body(connection && { connection, scope });
        // Taken as it is now: an event from below may have changed it meanwhile.
        const before = entry.connection;
        if (change === undefined || before === undefined) return;
        entry.connection = change(before);
        emit(ConnectionEventType.UPDATE, entry.connection, before.state);
      }),
    get: (id) => entries.get(id)?.connection,
    list: () => [...entries.values()].flatMap(({ connection }) => (connection ? [connection] : [])),
    startedBy: (origin) => origins.of(origin).flatMap((id) => entries.get(id)?.connection ?? []),
    watch: async function* (options, signal) {
      const feed = createFeed(options, signal);
      feeds.add(feed);
      try {
        yield feed.initial(
          [...entries.values()].flatMap(({ connection }) => (connection ? [connection] : [])),
        );
        yield* feed.events();
      } finally {
        feeds.delete(feed);
      }
    },
    idle: async () => {
      while (entries.size > 0) {
        const tails = [...entries.values()].map(({ tail }) => tail);
        await Promise.all(tails);
        if ([...entries.values()].every(({ tail }) => tails.includes(tail))) return;
      }
    },
  };
}
