import type { Clock } from '@nsm/chain';
import type { Connections } from '@nsm/connection';
import type { CountedLink, Datapath } from '@nsm/datapath';

/** Within which a client that lives has asked for its wires again, in ms: it hears of a restart at once. */
const ALIVE_MS = 5_000;

export interface SweepOptions {
  /** Whose links: the owner in their alias. */
  readonly owner: string;
  /** How long a client may take to claim a wire, in ms: one token lifetime, within which every client refreshes. */
  readonly claimMs: number;
  readonly clock: Clock;
  readonly datapath: Pick<Datapath, 'census' | 'discard'>;
  readonly connections: Pick<Connections, 'inTurn'>;
  /** Told once, of the links that were there at the start, by connection. */
  readonly onFound: (links: readonly CountedLink[]) => void;
  /** Told of links that nobody has claimed and that were taken out of service, and of what could not be. */
  readonly onSwept: (swept: readonly CountedLink[], failures: readonly unknown[]) => void;
  /** Told once, when the time to claim is over. */
  readonly onOver: (found: readonly CountedLink[]) => void;
}

/** What an earlier process has left and nobody has claimed yet. */
export interface Leftovers {
  /**
   * Takes away what has a name that connection `id` wants in a namespace. Whose it was has died together with everybody who knew its wire;
   * nobody is waited for longer than those who live need to claim theirs.
   */
  makeRoom(id: string, netns: string, name: string): Promise<void>;
  /** Stops waiting. */
  stop(): void;
}

/**
 * Takes stock of what an earlier process of this forwarder has left in the kernel. Refreshes claim it by asking for the same
 * connection; what none has claimed after `claimMs` belongs to nobody that lives, and goes. Links of other owners are never touched.
 */
export async function startSweep(options: SweepOptions): Promise<Leftovers> {
  const { owner, claimMs, clock, datapath, connections, onFound, onSwept, onOver } = options;
  const { links } = await datapath.census();
  const found = links.filter((link) => link.owner === owner);
  const since = clock.now();
  onFound(found);
  const left = Map.groupBy(found, (link) => link.id);
  const names = new Map(found.map(({ netns, name, id }) => [`${netns} ${name}`, id]));
  const sweep = async (ids: readonly string[]): Promise<void> => {
    const swept: CountedLink[] = [];
    const failures: unknown[] = [];
    for (const id of ids)
      // In the connection's turn: a request for it comes before, and has claimed it, or after, and makes it anew.
      await connections.inTurn(id, async (held) => {
        const its = left.get(id) ?? [];
        left.delete(id);
        if (held !== undefined) return undefined;
        for (const link of its)
          await datapath.discard(link).then(
            (discarded) => {
              if (discarded) swept.push(link);
            },
            (error: unknown) => {
              failures.push(error);
            },
          );
        return undefined;
      });
    onSwept(swept, failures);
  };
  const over = async (): Promise<void> => {
    names.clear();
    await sweep([...left.keys()]);
    onOver(found);
  };
  const stop = clock.after(claimMs, () => void over());
  return {
    makeRoom: async (id, netns, name) => {
      const other = names.get(`${netns} ${name}`);
      if (other === undefined || other === id || clock.now() - since < ALIVE_MS) return;
      names.delete(`${netns} ${name}`);
      if (left.has(other)) await sweep([other]);
    },
    stop,
  };
}
