/** The value below which `p` (0..1) of the samples lie. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

export const sum = (samples: readonly number[]): number => samples.reduce((a, b) => a + b, 0);

/** Rows as an aligned table, numbers to the right. */
export function table(
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const all = [
    head,
    ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? format(cell) : cell))),
  ];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return `\n${title}\n\n${[line(all[0] ?? []), rule, ...all.slice(1).map(line)].join('\n')}\n`;
}

const format = (n: number): string =>
  Math.abs(n) >= 100 ? n.toFixed(0) : Math.abs(n) >= 10 ? n.toFixed(1) : n.toFixed(2);

/** The slope of the line through points (x, y), by least squares. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const [mx, my] = [0, 1].map(
    (at) => sum(points.map((point) => point[at] ?? 0)) / points.length,
  ) as [number, number];
  const spread = sum(points.map(([x]) => (x - mx) ** 2));
  return sum(points.map(([x, y]) => (x - mx) * (y - my))) / spread;
}
