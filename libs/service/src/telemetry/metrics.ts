import type { InstrumentName } from './instruments.ts';

export type Labels = Readonly<Record<string, string>>;

/** One value of a metric with its labels. */
export type Reading = readonly [labels: Labels, value: number];

/** Where a process counts. Costs nothing where nobody listens: see {@link noMetrics}. */
export interface Metrics {
  /** Adds one to a counter. */
  count(name: InstrumentName, labels: Labels): void;
  /** Notes a duration, in seconds. */
  observe(name: InstrumentName, seconds: number, labels?: Labels): void;
  /** A metric that is read whenever somebody asks for it. */
  read(name: InstrumentName, values: () => Iterable<Reading> | Promise<Iterable<Reading>>): void;
}

export const noMetrics: Metrics = {
  count: () => undefined,
  observe: () => undefined,
  read: () => undefined,
};

/** How many different values a label has before the rest are counted as one. */
const LIMIT = 100;
const REST = 'other';

/**
 * Bounds the values of a label that others choose. Only what was told `known` counts by itself, so that asking for what does not exist
 * uses up nothing.
 */
export function createBound(limit = LIMIT): (value: string, known: boolean) => string {
  const values = new Set<string>();
  return (value, known) => {
    if (known && values.size < limit) values.add(value);
    return values.has(value) ? value : REST;
  };
}
