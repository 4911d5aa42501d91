import { expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { NsmError } from '@nsm/rpc';
import type { Change } from './feed.ts';
import { followMatches, type WatchSource } from './watch.ts';

interface Named {
  readonly name: string;
  readonly pathIds: string[];
  readonly v: number;
}
const named = (name: string, v = 1): Named => ({ name, pathIds: [], v });

/** A registry whose streams are fed and broken by hand. */
const world = () => {
  const clock = createFakeClock();
  const told: string[] = [];
  const stop = new AbortController();
  let there: Named[] = [];
  let push: (change: Change<Named> | Error) => void = () => undefined;
  let opened = 0;
  const source: WatchSource<Named> = {
    stream: async function* (signal) {
      opened += 1;
      for (;;) {
        const next = await new Promise<Change<Named> | Error>((resolve) => {
          push = resolve;
          signal.addEventListener('abort', () => resolve(new Error('left')), { once: true });
        });
        if (next instanceof Error) throw next;
        yield next;
      }
    },
    find: async () => there,
  };
  const done = followMatches(source, { clock, random: () => 0.5 }, stop.signal, (event) =>
    told.push('entry' in event ? `${event.type} ${event.entry.name}${event.entry.v}` : event.type),
  );
  return {
    clock,
    told,
    opened: () => opened,
    set: (...entries: Named[]) => (there = entries),
    say: async (entry: Named, deleted = false) => {
      push({ entry, deleted });
      await clock.advance(0);
    },
    breakIt: async () => {
      push(new NsmError('unavailable', 'broken'));
      await clock.advance(0);
    },
    end: async () => {
      stop.abort();
      await done;
    },
  };
};

test('a stream that says nothing is in sync once a plain Find has answered', async () => {
  const { clock, told, end } = world();
  await clock.advance(499);
  expect(told).toEqual([]);
  await clock.advance(1);
  expect(told).toEqual(['synced']);
  await end();
});

test('what the stream has not said yet is told from the plain Find', async () => {
  const { told, set, say, end } = world();
  set(named('a'), named('b'));
  await say(named('a', 2));
  expect(told).toEqual(['put a2', 'put b1', 'synced']);
  await say(named('b', 2));
  await say(named('b', 2), true);
  expect(told.slice(3)).toEqual(['put b2', 'deleted b2']);
  await end();
});

test('what has gone while nothing could be heard is told as deleted', async () => {
  const { clock, told, opened, set, say, breakIt, end } = world();
  set(named('a'), named('b'));
  await say(named('a'));
  await breakIt();
  set(named('b'));
  await clock.advance(200);
  expect(opened()).toBe(2);
  await clock.advance(500);
  expect(told.slice(3)).toEqual(['lost', 'put b1', 'deleted a1', 'synced']);
  await end();
});

test('a registry that stays away is tried less and less, and told lost once', async () => {
  const { clock, told, opened, breakIt, end } = world();
  for (const ms of [200, 400, 800]) {
    await breakIt();
    await clock.advance(ms);
  }
  expect(opened()).toBe(4);
  expect(told).toEqual(['lost']);
  await end();
});
