import { expect, test } from '@jest/globals';
import { table } from './table.ts';

test('columns are as wide as their contents, and a cell may have several lines', () => {
  const text = table<{ name: string; lines: string[]; n: number }>(
    [
      { title: 'NAME', cell: ({ name }) => name },
      { title: 'LINES', cell: ({ lines }) => lines },
      { title: 'N', cell: ({ n }) => String(n), align: 'right' },
    ],
    [
      { name: 'a-rather-long-name', lines: ['one', 'two'], n: 7 },
      { name: 'b', lines: [], n: 1234 },
    ],
  );
  expect(text).toBe(
    [
      'NAME                LINES     N',
      'a-rather-long-name  one       7',
      '                    two',
      'b                          1234',
      '',
    ].join('\n'),
  );
});
