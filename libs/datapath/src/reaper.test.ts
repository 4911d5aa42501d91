import { describe, expect, test } from '@jest/globals';
import type { Job } from './job.ts';
import { type Reaper, startReaper } from './reaper.ts';

/** A reaper whose threads write down what they are asked, and answer when told. */
function world(limit: number): {
  reaper: Reaper;
  asked: string[];
  threads: () => number;
  closed: () => number;
  failNext: () => void;
} {
  const asked: string[] = [];
  let threads = 0;
  let closed = 0;
  let fail = false;
  const reaper = startReaper(() => {
    threads += 1;
    return {
      run: async (job: Job) => {
        if (job.job === 'reap') asked.push(job.netns);
        await new Promise((resolve) => setImmediate(resolve));
        if (fail) {
          fail = false;
          throw new Error('refused');
        }
        return undefined as never;
      },
      close: async () => {
        closed += 1;
      },
    };
  }, limit);
  return {
    reaper,
    asked,
    threads: () => threads,
    closed: () => closed,
    failNext: () => (fail = true),
  };
}

describe('the reaper', () => {
  test('starts where most links wait, and goes to each namespace once', async () => {
    const { reaper, asked, threads, closed } = world(1);
    for (const netns of ['a', 'endpoint', 'b', 'endpoint', 'c', 'endpoint']) reaper.add({ netns });
    await reaper.close();
    expect(asked).toEqual(['endpoint', 'a', 'b', 'c']);
    expect([threads(), closed()]).toEqual([1, 1]);
  });

  test('waits in as many threads as it may', async () => {
    const { reaper, asked, threads } = world(3);
    for (const netns of ['a', 'b', 'c', 'd', 'e']) reaper.add({ netns });
    await reaper.close();
    expect(asked.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(threads()).toBe(3);
  });

  test('goes on after a failure', async () => {
    const { reaper, asked, failNext } = world(1);
    failNext();
    reaper.add({ netns: 'a' });
    reaper.add({ netns: 'b' });
    await reaper.close();
    expect(asked).toEqual(['a', 'b']);
  });

  test('begins by itself', async () => {
    const { reaper, asked } = world(1);
    reaper.add({ netns: 'a' });
    for (let i = 0; i < 100 && asked.length === 0; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(asked).toEqual(['a']);
    await reaper.close();
  });

  test('starts no thread for nothing', async () => {
    const { reaper, threads } = world(1);
    await reaper.close();
    expect(threads()).toBe(0);
  });
});
