import { readFileSync } from 'node:fs';
import type { Lab } from '@nsm/lab';
import { median, table } from './stats.ts';

interface Line {
  readonly time: string;
  readonly element?: string;
  readonly ms?: number;
  readonly ownMs?: number;
}

/** Elements of closes, which pass the guards only, are told apart by what they do not reach. */
const OUTERMOST = 'validate';
const MIN_SHOWN_MS = 0.05;

/** Where the time of requests since `since` went, from what the services logged of their elements. */
export function elementTimes(lab: Lab, kind: string, since: number, total: number): string {
  const rows: [string, number][] = [];
  for (const { name, log, program } of lab.processes()) {
    if (program === 'nsc' || program === 'registry') continue;
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"element"'))
      .map((line) => JSON.parse(line) as Line)
      .filter(({ time, element }) => element !== undefined && Date.parse(time) >= since);
    const elements = [...new Set(lines.map(({ element = '' }) => element))].filter(
      (element) => element !== OUTERMOST,
    );
    for (const element of elements) {
      // Guards run for closes too; of their times the slower half are the requests.
      const own = lines.filter((line) => line.element === element).map(({ ownMs = 0 }) => ownMs);
      rows.push([`${name}: ${element}`, median(own)]);
    }
  }
  const shown = rows.filter(([, ms]) => ms >= MIN_SHOWN_MS);
  return table(
    `Where the time of a ${kind} wire goes, in ms (p50 of each element without what is below it on its hop; "connect" holds the next hop and the way there; with the log level debug the whole takes ${total.toFixed(1)})`,
    ['process: element', 'ms'],
    shown,
  );
}
