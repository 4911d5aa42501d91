import { median } from './stats.ts';

/** What a wire costs: ms until each step is done, and ms of CPU that this process used for it. */
export const STEPS = ['create', 'refresh', 'close'] as const;
type Step = (typeof STEPS)[number];

/** A way to make wires, numbered by the caller. */
export interface Way {
  readonly name: string;
  create(n: number): Promise<void> | void;
  refresh(n: number): Promise<void> | void;
  close(n: number): Promise<void> | void;
  /** Waits until what was closed is gone, so that it is in nobody's way. */
  settle(): Promise<void> | void;
}

/** The samples of one way and step: a median of times and the CPU per wire for each round. */
interface Samples {
  readonly ms: number[];
  readonly cpu: number[];
}
export type Measured = ReadonlyMap<string, Readonly<Record<Step, Samples>>>;

/**
 * Makes wires in rounds, one way after the other in each, so that whatever else the machine does falls on all of them. The first
 * rounds do not count: programs that run for long have compiled what they run.
 */
export async function measure(
  ways: readonly Way[],
  {
    rounds,
    wires,
    warmUp,
  }: { readonly rounds: number; readonly wires: number; readonly warmUp: number },
): Promise<Measured> {
  const none = (): Samples => ({ ms: [], cpu: [] });
  const measured = new Map(
    ways.map(({ name }) => [name, { create: none(), refresh: none(), close: none() }]),
  );
  for (let round = -warmUp; round < rounds; round += 1) {
    // Whoever comes second finds the machine as the first has left it.
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      for (const step of STEPS) {
        const times: number[] = [];
        const before = process.cpuUsage();
        for (let n = 0; n < wires; n += 1) {
          const started = performance.now();
          await way[step](n);
          times.push(performance.now() - started);
        }
        // The kernel's slow part of a removal comes after it.
        if (step === 'close') await way.settle();
        const { user, system } = process.cpuUsage(before);
        const samples = measured.get(way.name)?.[step];
        if (round < 0) continue;
        samples?.ms.push(median(times));
        samples?.cpu.push((user + system) / 1e3 / wires);
      }
    }
  }
  return measured;
}

/** How much more one way takes than another: the median of what the rounds say. */
export const ratio = (one: readonly number[], other: readonly number[]): number =>
  median(one.map((value, i) => value / (other[i] ?? Number.NaN)));
