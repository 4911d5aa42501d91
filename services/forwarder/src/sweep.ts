import type { Clock } from '@nsm/chain';
import type { Connections } from '@nsm/connection';
import type { CountedLink, Datapath } from '@nsm/datapath';

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
  /** Told once, when the time to claim is over: what nobody had claimed and was taken out of service, and what could not be. */
  readonly onSwept: (swept: readonly CountedLink[], failures: readonly unknown[]) => void;
}

/**
 * Takes stock of what an earlier process of this forwarder has left in the kernel. Refreshes claim it by asking for the same
 * connection; what none has claimed after `claimMs` belongs to nobody that lives, and goes. Links of other owners are never touched.
 * @returns stops waiting
 */
export async function startSweep(options: SweepOptions): Promise<() => void> {
  const { owner, claimMs, clock, datapath, connections, onFound, onSwept } = options;
  const { links } = await datapath.census();
  const found = links.filter((link) => link.owner === owner);
  onFound(found);
  const sweep = async (): Promise<void> => {
    const swept: CountedLink[] = [];
    const failures: unknown[] = [];
    for (const [id, left] of Map.groupBy(found, (link) => link.id))
      // In the connection's turn: a request for it comes before, and has claimed it, or after, and makes it anew.
      await connections.inTurn(id, async (held) => {
        if (held !== undefined) return undefined;
        for (const link of left)
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
  return clock.after(claimMs, () => void sweep());
}
