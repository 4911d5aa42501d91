import { styleText } from 'node:util';

/** One column of a table of `T`. A cell of several lines makes its row as high. */
export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => string | readonly string[];
  readonly align?: 'right';
  /** Colours a padded line of a cell. */
  readonly paint?: (text: string, row: T) => string;
}

/** A table with aligned columns, as wide as its contents: nothing is cut. Ends with a newline. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const cells = rows.map((row) => columns.map(({ cell }) => linesOf(cell(row))));
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.flatMap((row) => row[i]?.map(({ length }) => length) ?? [])),
  );
  const pad = (text: string, i: number): string => {
    const width = widths[i] ?? 0;
    if (columns[i]?.align === 'right') return text.padStart(width);
    // The last column needs no blanks behind it.
    return i === columns.length - 1 ? text : text.padEnd(width);
  };
  const head = columns.map(({ title }, i) => bold(pad(title, i))).join('  ');
  const body = rows.flatMap((row, r) => {
    const lines = cells[r] ?? [];
    const height = Math.max(1, ...lines.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) =>
      columns
        .map(({ paint }, i) => {
          const text = pad(lines[i]?.[line] ?? '', i);
          return paint === undefined ? text : paint(text, row);
        })
        .join('  ')
        .trimEnd(),
    );
  });
  return [head, ...body].map((line) => `${line}\n`).join('');
}

/** Bold on a terminal, and nowhere else (NO_COLOR is respected). */
export const bold = (text: string): string => styleText('bold', text);

export const green = (text: string): string => styleText('green', text);

export const yellow = (text: string): string => styleText('yellow', text);

export const red = (text: string): string => styleText('red', text);

const linesOf = (cell: string | readonly string[]): readonly string[] =>
  typeof cell === 'string' ? [cell] : cell;
