import { pause, type Clock } from '@nsm/chain';
import type { Connections } from '@nsm/connection';
import { ConnectionEventType, State, type Connection } from '@nsm/proto';
import type { Cause } from './attempt.ts';
import type { Liveness } from './liveness.ts';

export interface RestOptions {
  readonly id: string;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly liveness: Liveness | undefined;
}

/** What a wire does between two requests: it waits, until it is time or something has happened to it. */
export interface Rest {
  /** Waits for `ms`; answers earlier, and with the cause, when the wire has to be asked for again. */
  until(connection: Connection, ms: number, signal: AbortSignal): Promise<Cause | undefined>;
}

const CAUSES: Partial<Record<State, Cause>> = {
  [State.DOWN]: 'path is down',
  [State.REFRESH_REQUESTED]: 'refresh requested',
};

/** Listens to the events of a wire until the signal aborts. */
export function createRest(
  { id, connections, clock, liveness }: RestOptions,
  signal: AbortSignal,
): Rest {
  let wake: (cause: Cause) => void = () => undefined;
  const listen = async (): Promise<void> => {
    const options = { matches: (c: Connection) => c.id === id, statesOnly: true };
    for await (const { type, connections: told } of connections.watch(options, signal)) {
      const cause = CAUSES[told[id]?.state ?? State.UP];
      if (type === ConnectionEventType.UPDATE && cause !== undefined) wake(cause);
    }
  };
  void listen();

  /** Whose addresses have answered: a wire whose other end never did is not known to be dead when it does not. */
  let answered: string | undefined;
  const probe = async (
    connection: Connection,
    ended: AbortSignal,
    onDead: () => void,
  ): Promise<void> => {
    const whose = String(connection.context?.ipContext?.dstIpAddrs);
    while (liveness !== undefined) {
      await pause(clock, liveness.intervalMs, ended);
      if (ended.aborted) return;
      const alive = await liveness.alive(connection, ended);
      if (alive) answered = whose;
      else if (answered === whose) onDead();
    }
  };

  return {
    until: async (connection, ms, stopping) => {
      const ending = new AbortController();
      const stop = (): void => ending.abort();
      if (stopping.aborted) return undefined;
      stopping.addEventListener('abort', stop, { once: true });
      // It may have happened while the request was on its way.
      let found: Cause | undefined = CAUSES[connections.get(id)?.state ?? State.UP];
      const end = (cause: Cause): void => {
        found ??= cause;
        ending.abort();
      };
      wake = end;
      void probe(connection, ending.signal, () => end('wire is dead'));
      if (found === undefined) await pause(clock, ms, ending.signal);
      wake = () => undefined;
      ending.abort();
      stopping.removeEventListener('abort', stop);
      return found;
    },
  };
}
