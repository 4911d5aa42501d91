import { expect, test } from '@jest/globals';
import { Connection, ConnectionEventType as Event, State, type ConnectionEvent } from '@nsm/proto';
import { createFeed, told } from './feed.ts';

const feedOf = () => createFeed({ matches: () => true }, new AbortController().signal);
const connection = (id: string, state: State = State.UP) => Connection.fromPartial({ id, state });

test('of states that a reader has not heard the last one is told, in the place of the first', async () => {
  const feed = feedOf();
  const events = feed.events();
  feed.push(told(Event.UPDATE, connection('a')), true);
  feed.push(told(Event.UPDATE, connection('b')), true);
  feed.push(told(Event.UPDATE, connection('a', State.DOWN)), true);
  feed.push(told(Event.DELETE, connection('a', State.DOWN)), true);
  feed.push(told(Event.UPDATE, connection('a')), true);
  const heard: unknown[] = [];
  for (let n = 0; n < 4; n += 1) {
    const { type, connections } = ((await events.next()) as { value: ConnectionEvent }).value;
    for (const { id, state } of Object.values(connections)) heard.push([type, id, state]);
  }
  expect(heard).toEqual([
    [Event.UPDATE, 'a', State.DOWN],
    [Event.UPDATE, 'b', State.UP],
    [Event.DELETE, 'a', State.DOWN],
    [Event.UPDATE, 'a', State.UP],
  ]);
});

test('a reader that is too far behind is told so, wherever it has stopped', async () => {
  for (const stopped of ['before the first', 'after the first'] as const) {
    const feed = feedOf();
    const events = feed.events();
    for (const id of ['x', 'y']) feed.push(told(Event.UPDATE, connection(id)), true);
    if (stopped === 'after the first') await events.next();
    for (let n = 0; n < 10_001; n += 1) feed.push(told(Event.UPDATE, connection(String(n))), true);
    await expect(events.next()).rejects.toMatchObject({ code: 'exhausted', limit: 'unread' });
  }
});
