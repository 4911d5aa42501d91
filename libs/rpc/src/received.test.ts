import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { ReceivedDescriptors } from './received.ts';

const never = (): number => {
  throw new Error('it has come once');
};
const isOpen = (fd: number, inode: number): boolean => {
  try {
    return fstatSync(fd).ino === inode;
  } catch {
    return false;
  }
};

test('what came before the end of a connection can be taken for a moment after it, and is closed then', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'received-'));
  const { dev, ino } = statSync(folder);
  const received = new ReceivedDescriptors();
  received.put(openSync(folder, 'r'));
  received.end();
  const taken = received.take(`inode://${dev}/${ino}`, never);
  expect(taken !== undefined && isOpen(taken, ino)).toBe(true);
  closeSync(taken!);
  await expect(
    received.arrival(`inode://${dev}/${ino}`, new AbortController().signal),
  ).resolves.toBeUndefined();

  const other = new ReceivedDescriptors();
  const left = openSync(folder, 'r');
  other.put(left);
  other.end();
  while (isOpen(left, ino)) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(other.take(`inode://${dev}/${ino}`, never)).toBeUndefined();
  rmSync(folder, { recursive: true });
});

test('what nobody takes is closed after a while, however many come and are taken meanwhile', () => {
  jest.useFakeTimers();
  try {
    const received = new ReceivedDescriptors();
    const come = (): number => openSync('/dev/null', 'r');
    const fd = come();
    const { dev, ino } = fstatSync(fd, { bigint: true });
    const key = `inode://${dev}/${ino}`;
    received.put(fd);
    for (let ms = 0; ms < 4_000; ms += 1_000) {
      jest.advanceTimersByTime(1_000);
      received.put(come());
      closeSync(received.take(key, come)!);
    }
    expect(received.copy(key, () => 0)).toBe(0);
    jest.advanceTimersByTime(1_000);
    expect(received.copy(key, () => 0)).toBeUndefined();
    expect(() => fstatSync(fd)).toThrow('EBADF');
  } finally {
    jest.useRealTimers();
  }
});
