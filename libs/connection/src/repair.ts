import type { Scope } from '@nsm/chain';
import { endsOf, type Datapath, type Disturbance } from '@nsm/datapath';
import { State, type Connection } from '@nsm/proto';
import type { Connections } from './connections.ts';
import { wireOf } from './elements/cross-connect.ts';

/** What came of a disturbed wire. */
export interface Repair {
  readonly id: string;
  /** `repaired`; `down`: it could not be, and watchers were told; `closed`: a namespace it ends in is gone. */
  readonly outcome: 'repaired' | 'down' | 'closed';
  /** What the kernel said, where it went wrong. */
  readonly error?: unknown;
}

export interface RepairOptions {
  readonly connections: Connections;
  readonly datapath: Pick<Datapath, 'ensure'>;
  readonly onRepair: (repair: Repair) => void;
}

/**
 * Puts right what happened to a wire behind our back: makes the kernel match its plan again, in the connection's turn, or tells
 * watchers that it is DOWN. A wire whose namespace is gone is closed, as nobody is left to do it (contract 3.8, nsmonitor).
 */
export function createRepair({
  connections,
  datapath,
  onRepair,
}: RepairOptions): (disturbance: Disturbance) => Promise<void> {
  /** Connections that were reported DOWN here. */
  const broken = new WeakSet<Scope>();
  return async (disturbance) => {
    const { id } = disturbance;
    /** Whether the connection still has the wire that lost its namespace; undefined: it lost none. */
    let bereft: (() => boolean) | undefined;
    await connections.inTurn(id, async (now) => {
      if (now === undefined) return undefined;
      const plan = wireOf(now.scope);
      if (plan === undefined) return undefined;
      const held = (): boolean => wireOf(now.scope) === plan;
      if (disturbance.cause === 'namespace') {
        // By now it may end elsewhere.
        if (endsOf(plan).some(({ end: { netns } }) => netns === disturbance.netns)) bereft = held;
        return undefined;
      }
      try {
        const { change } = await datapath.ensure(plan, plan);
        if (change !== 'none') onRepair({ id, outcome: 'repaired' });
        // What is DOWN for other reasons stays so.
        return broken.delete(now.scope) ? withState(State.UP) : undefined;
      } catch (error) {
        if (Error.isError(error) && 'code' in error && error.code === 'ENOENT') {
          bereft = held;
          return undefined;
        }
        onRepair({ id, outcome: 'down', error });
        broken.add(now.scope);
        return withState(State.DOWN);
      }
    });
    if (bereft?.() !== true) return;
    // A request that came in between has a wire of its own.
    await connections.close(id, { unless: () => bereft?.() !== true });
    onRepair({ id, outcome: 'closed' });
  };
}

const withState =
  (state: State) =>
  (connection: Connection): Connection => ({ ...connection, state });
