import type { Lab, LabWire } from '@nsm/lab';
import { type Column, green, red, table } from './table.ts';

/** A ping from one end of a wire to the other. */
interface Ping {
  readonly from: string;
  readonly to: string;
  /** Of the median of its answers; null when there was none. */
  readonly rttMs: number | null;
  /** Why there was none, where that is known. */
  readonly error: string | null;
}

/** A wire with what came of pinging through it. `pings` has a pair per pair of addresses: there, and back. */
export type PingedWire = LabWire & { readonly pings: readonly Ping[] };

const PINGS = { count: 3, intervalMs: 20, timeoutMs: 1_000 };

/** The wires of a lab, each pinged through both ways. */
export async function pingWires(lab: Lab): Promise<PingedWire[]> {
  const wires = await lab.wires();
  return Promise.all(wires.map(async (wire) => ({ ...wire, pings: await pingWire(lab, wire) })));
}

/** Whether every wire a lab's clients asked for is there and carries packets both ways. */
export const allWell = (lab: Lab, wires: readonly PingedWire[]): boolean =>
  wires.length >= Object.values(lab.plan.wires).reduce((sum, count) => sum + count, 0) &&
  wires.every(({ pings }) => pings.length > 0 && pings.every(({ rttMs }) => rttMs !== null));

async function pingWire(lab: Lab, wire: LabWire): Promise<Ping[]> {
  const { client, endpoint, clientAddresses, endpointAddresses } = wire;
  const pairs = endpointAddresses.flatMap((there, i) => {
    const back = clientAddresses[i];
    return back === undefined ? [] : [{ there: bare(there), back: bare(back) }];
  });
  const pings = await Promise.all(
    pairs.map(({ there, back }) =>
      Promise.all([pingOnce(lab, client, back, there), pingOnce(lab, endpoint, there, back)]),
    ),
  );
  return pings.flat();
}

async function pingOnce(lab: Lab, pod: string, src: string, dst: string): Promise<Ping> {
  const result = { from: pod, to: dst, rttMs: null };
  if (!lab.plan.namespaces.some(({ name }) => name === pod))
    return { ...result, error: `${pod} is no pod of this lab` };
  try {
    const { rttMs, errors } = await lab.ping(pod, dst, { src, ...PINGS });
    const median = rttMs.toSorted((a, b) => a - b)[Math.floor(rttMs.length / 2)];
    if (median !== undefined) return { ...result, rttMs: median, error: null };
    return { ...result, error: errors[0] ?? 'no answer' };
  } catch (error) {
    return { ...result, error: Error.isError(error) ? error.message : String(error) };
  }
}

/** `10.0.0.1/32` without its length. */
export const bare = (address: string): string => address.split('/')[0] ?? address;

const milliseconds = (ms: number): string => (ms < 10 ? ms.toFixed(2) : ms.toFixed(1));

/** One line per pair of addresses: there and back. */
const rttLines = ({ pings }: PingedWire): string[] => {
  const lines: string[] = [];
  for (let i = 0; i < pings.length; i += 2) {
    const pair = pings.slice(i, i + 2);
    lines.push(
      pair.map(({ rttMs }) => (rttMs === null ? 'lost' : milliseconds(rttMs))).join(' / '),
    );
  }
  return lines.length === 0 ? ['-'] : lines;
};

const columns: readonly Column<PingedWire>[] = [
  { title: 'CLIENT', cell: ({ client, node }) => `${client}@${node}` },
  { title: 'SERVICE', cell: ({ service }) => service },
  { title: 'ENDPOINT', cell: ({ endpoint, endpointNode }) => `${endpoint}@${endpointNode || '?'}` },
  { title: 'MECHANISM', cell: ({ mechanism }) => mechanism || '?' },
  { title: 'INTERFACE', cell: (wire) => wire.interface },
  {
    title: 'ADDRESSES',
    cell: ({ clientAddresses, endpointAddresses }) =>
      clientAddresses.map((own, i) => `${bare(own)} → ${bare(endpointAddresses[i] ?? '?')}`),
  },
  {
    title: 'SET-UP MS',
    align: 'right',
    cell: ({ setupMs }) => (setupMs === undefined ? '-' : setupMs.toFixed(1)),
  },
  {
    title: 'PING MS, THERE / BACK',
    cell: rttLines,
    paint: (text, { pings }) =>
      pings.every(({ rttMs }) => rttMs !== null) ? green(text) : red(text),
  },
];

/** The table of a lab's wires, and below it why pings were lost. */
export function wireTable(wires: readonly PingedWire[]): string {
  const lost = wires.flatMap(({ pings }) => pings.filter(({ rttMs }) => rttMs === null));
  const reasons = lost.map(({ from, to, error }) => red(`${from} → ${to}: ${error ?? ''}`));
  return [table(columns, wires), ...reasons.map((line) => `${line}\n`)].join('');
}
