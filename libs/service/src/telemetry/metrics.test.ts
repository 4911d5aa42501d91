import { expect, test } from '@jest/globals';
import { createBound } from './metrics.ts';

test('a label has no more values than its limit, and what nobody knows uses up none', () => {
  const bound = createBound(2);
  expect(bound('asked for and not there', false)).toBe('other');
  expect(['a', 'b', 'c', 'a'].map((name) => bound(name, true))).toEqual(['a', 'b', 'other', 'a']);
  expect(bound('b', false)).toBe('b');
});
