import { expect, test } from '@jest/globals';
import { takingTurns } from './turns.ts';

const nextTurn = () => new Promise((resolve) => void setImmediate(resolve));

test('so many go on in one turn of the event loop, and later ones wait behind those who wait', async () => {
  const turn = takingTurns(2);
  let gone = '';
  const go = async (name: string): Promise<void> => {
    await turn();
    gone += name;
  };
  const all = ['a', 'b', 'c', 'd', 'e'].map(go);
  expect(gone).toBe('');
  await Promise.resolve();
  expect(gone).toBe('ab');
  await nextTurn();
  expect(gone).toBe('abcd');
  all.push(go('f'));
  await nextTurn();
  expect(gone).toBe('abcdef');
  await Promise.all(all);
});

test('whoever comes when nobody waits goes on at once', async () => {
  const turn = takingTurns(1);
  expect(turn()).toBeUndefined();
  await turn();
  await nextTurn();
  await nextTurn();
  expect(turn()).toBeUndefined();
});
