import { table } from '../lib/stats.ts';
import { percentile } from '../lib/stats.ts';
import type { Counted, Mesh } from './mesh.ts';

/** What came of one run of a scenario. */
export interface Run {
  /** What the deadline is for, in ms. */
  readonly ms: number;
  /** Of the wires that shall not notice. */
  readonly others: Counted;
  /** Of the wires that are concerned; undefined: those of `others` are all there are. */
  readonly own?: Counted;
  readonly residue: number;
  /** What else went wrong. */
  readonly fault?: string | undefined;
}

/** Something that happens to a mesh, and what shall come of it. */
export interface Scenario {
  readonly name: string;
  /** What `ms` is the time to: `new wire`, `traffic`, ... */
  readonly until: string;
  /** For every run, in ms. */
  readonly deadlineMs: number;
  run(mesh: Mesh): Promise<Run>;
}

/** The runs of a scenario. */
export interface Row {
  readonly scenario: Scenario;
  readonly runs: readonly Run[];
}

/** A run that came to no end: its row does not hold, and the others are run all the same. */
export const failedRun = (error: unknown): Run => ({
  ms: Infinity,
  others: { sent: 0, lost: 0 },
  residue: 0,
  fault: String(error).split('\n')[0],
});

const sum = (counts: readonly (Counted | undefined)[], key: keyof Counted): number =>
  counts.reduce((total, count) => total + (count?.[key] ?? 0), 0);

/** Why a row does not hold; empty where it does. */
export function faultsOf({ scenario, runs }: Row): string[] {
  const lost = sum(
    runs.map(({ others }) => others),
    'lost',
  );
  const left = runs.reduce((total, { residue }) => total + residue, 0);
  const slowest = Math.max(...runs.map(({ ms }) => ms));
  return [
    ...(lost > 0 ? [`${lost} packets lost that should not be`] : []),
    ...(left > 0 ? [`${left} left over`] : []),
    ...(slowest > scenario.deadlineMs ? [`took ${slowest.toFixed(0)} ms`] : []),
    ...runs.flatMap(({ fault }) => (fault === undefined ? [] : [fault])),
  ];
}

/** All rows, as Markdown. */
export const healTable = (rows: readonly Row[]): string =>
  table(
    'What happens, and what comes of it',
    [
      'what happens',
      'runs',
      'time to',
      'deadline, ms',
      'p50, ms',
      'p99, ms',
      'lost by its own wires (p50 a run)',
      'lost by others, of',
      'residue',
    ],
    rows.map(({ scenario, runs }) => {
      const times = runs.map(({ ms }) => ms);
      const others = runs.map(({ others: counted }) => counted);
      const own = runs.flatMap(({ own: counted }) => (counted ? [counted.lost] : []));
      return [
        scenario.name,
        String(runs.length),
        scenario.until,
        String(scenario.deadlineMs),
        percentile(times, 0.5).toFixed(0),
        percentile(times, 0.99).toFixed(0),
        own.length === 0 ? '-' : String(percentile(own, 0.5)),
        `${sum(others, 'lost')} of ${sum(others, 'sent')}`,
        String(runs.reduce((total, { residue }) => total + residue, 0)),
      ];
    }),
  );
