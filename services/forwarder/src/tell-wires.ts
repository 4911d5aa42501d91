import { pathOf, type Connections } from '@nsm/connection';
import type { CountedLink, Datapath } from '@nsm/datapath';
import type { Metrics, Reading } from '@nsm/service';

type Counters = NonNullable<CountedLink['counters']>;

export interface WiresOptions {
  /** Whose links: the owner in their alias. */
  readonly owner: string;
  readonly datapath: Pick<Datapath, 'census'>;
  readonly connections: Pick<Connections, 'get'>;
}

/** What the legs of one mechanism have carried. */
interface Carried {
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
}

/** Tells what the wires of this forwarder carry, and what is in the kernel beside them. The kernel is asked once per scrape. */
export function tellWires(metrics: Metrics, { owner, datapath, connections }: WiresOptions): void {
  const traffic = createTraffic();
  let asked: Promise<ReadonlyMap<string, Carried>> | undefined;
  let leaked: readonly Reading[] = [];
  const look = async (): Promise<ReadonlyMap<string, Carried>> => {
    const { links, buried } = await datapath.census({ counters: true });
    const own = links.filter((link) => link.owner === owner);
    const isKnown = ({ id }: CountedLink): boolean => connections.get(id) !== undefined;
    leaked = [
      [{ kind: 'unclaimed_link' }, own.filter((link) => !isKnown(link)).length],
      [{ kind: 'removed_link' }, Object.values(buried).reduce((sum, count) => sum + count, 0)],
    ];
    return traffic.add(own.filter(isKnown), (id) => mechanismsOf(connections, id));
  };
  /** Those who ask at the same time share one look. */
  const current = (): Promise<ReadonlyMap<string, Carried>> =>
    (asked ??= look().finally(() => setImmediate(() => (asked = undefined))));
  const read = (of: (carried: Carried) => number) => async (): Promise<readonly Reading[]> =>
    [...(await current())].map(([mechanism, carried]) => [{ mechanism }, of(carried)]);
  metrics.read(
    'nsm_forwarder_rx_bytes_total',
    read(({ rxBytes }) => rxBytes),
  );
  metrics.read(
    'nsm_forwarder_tx_bytes_total',
    read(({ txBytes }) => txBytes),
  );
  metrics.read(
    'nsm_forwarder_rx_packets_total',
    read(({ rxPackets }) => rxPackets),
  );
  metrics.read(
    'nsm_forwarder_tx_packets_total',
    read(({ txPackets }) => txPackets),
  );
  metrics.read('nsm_leaked_resources', async () => {
    await current();
    return leaked;
  });
}

/** Of both legs of a connection: towards the client, towards the endpoint. */
interface Mechanisms {
  readonly client: string;
  readonly endpoint: string;
}

/** The segment of this hop names the onward leg `<TYPE>/<name>` (contract 8.2). */
function mechanismsOf(connections: WiresOptions['connections'], id: string): Mechanisms {
  const connection = connections.get(id);
  const { index, pathSegments } = connection ? pathOf(connection) : { index: 0, pathSegments: [] };
  const onward = pathSegments[index]?.metrics['client_interface']?.split('/')[0];
  const client = connection?.mechanism?.type ?? 'unknown';
  return { client, endpoint: onward ?? client };
}

/**
 * Sums what links have carried, by mechanism of the leg, since the process began. Links come and go; what they carried stays counted.
 */
export function createTraffic(): {
  add(
    links: readonly CountedLink[],
    mechanismsOf: (id: string) => Mechanisms,
  ): ReadonlyMap<string, Carried>;
} {
  const last = new Map<string, Counters>();
  const totals = new Map<string, Carried>();
  const carry = (mechanism: string, delta: Carried): void => {
    const total = totals.get(mechanism) ?? { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0 };
    for (const key of ['rxBytes', 'txBytes', 'rxPackets', 'txPackets'] as const)
      total[key] += delta[key];
    totals.set(mechanism, total);
  };
  return {
    add: (links, of) => {
      const seen = new Set<string>();
      for (const [id, ends] of Map.groupBy(links, (link) => link.id)) {
        const mechanisms = of(id);
        for (const { side, index, netns, counters } of ends) {
          if (counters === undefined) continue;
          const key = `${netns} ${index} ${id} ${side}`;
          seen.add(key);
          const delta = since(last.get(key), counters);
          last.set(key, counters);
          // What an interface sends comes in by the leg that leads to it.
          carry(mechanisms[side], turned(delta));
          // A tunnel has one end here: what it receives came in by the other leg.
          if (ends.length === 1)
            carry(mechanisms[side === 'client' ? 'endpoint' : 'client'], delta);
        }
      }
      for (const key of last.keys()) if (!seen.has(key)) last.delete(key);
      return totals;
    },
  };
}

const since = (was: Counters | undefined, now: Counters): Carried => {
  const of = (key: keyof Carried): number => Number(now[key] - (was?.[key] ?? 0n));
  return {
    rxBytes: of('rxBytes'),
    txBytes: of('txBytes'),
    rxPackets: of('rxPackets'),
    txPackets: of('txPackets'),
  };
};

const turned = ({ rxBytes, txBytes, rxPackets, txPackets }: Carried): Carried => ({
  rxBytes: txBytes,
  txBytes: rxBytes,
  rxPackets: txPackets,
  txPackets: rxPackets,
});
