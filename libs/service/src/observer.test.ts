import { expect, test } from '@jest/globals';
import type { Event } from '@nsm/proto';
import { createMemoryTransport, type Peer } from '@nsm/rpc';
import { ObserverDefinition } from '@nsm/proto';
import { createObserver } from './observer.ts';

const URL = 'unix:///observed';
let now = 0;

const start = async () => {
  now = 1_000_000;
  const observer = createObserver(
    'n1',
    () => now,
    ({ spiffeId }) => spiffeId === 'spiffe://nsm.test/admin',
  );
  const transport = createMemoryTransport();
  await transport.serve(URL, 'n1', [observer.service]);
  return { ...observer, client: transport.client(ObserverDefinition, URL) };
};
const kinds = (events: readonly Event[]) => events.map(({ kind }) => kind);
const seconds = (s: number) => ({ seconds: s, nanos: 0 });

test('is for admins where callers prove who they are', async () => {
  const { tell, service } = await start();
  tell({ kind: 'request' });
  const told = async (name: string): Promise<unknown[]> => {
    const context = {
      signal: new AbortController().signal,
      deadline: undefined,
      descriptors: undefined,
      peer: { spiffeId: `spiffe://nsm.test/${name}` } as Peer,
      header: () => undefined,
      reply: () => undefined,
    };
    const request = { since: seconds(0), pastOnly: true };
    const events = service.handlers['observe']!(request, context) as AsyncIterable<unknown>;
    return Array.fromAsync(events);
  };
  expect(await told('admin')).toHaveLength(1);
  await expect(told('other')).rejects.toMatchObject({
    code: 'permission-denied',
    policy: 'observer',
  });
});

test('what has happened since a time is told, then what happens', async () => {
  const { tell, client } = await start();
  tell({ kind: 'early' });
  now += 1_000;
  tell({ kind: 'late', client: 'a', ms: 5 });
  const leave = new AbortController();
  const events: Event[] = [];
  for await (const event of client.observe(
    { since: seconds(1_001), pastOnly: false },
    { signal: leave.signal },
  )) {
    events.push(event);
    if (events.length === 1) tell({ kind: 'live' });
    if (event.kind === 'live') break;
  }
  expect(kinds(events)).toEqual(['late', 'live']);
  expect(events[0]).toMatchObject({ hop: 'n1', client: 'a', ms: 5, time: seconds(1_001) });
});

test('the past alone has an end', async () => {
  const { tell, client } = await start();
  for (let i = 0; i < 1_100; i += 1) tell({ kind: `e${i}` });
  const events: Event[] = [];
  for await (const event of client.observe({ since: seconds(0), pastOnly: true }))
    events.push(event);
  // The oldest are forgotten.
  expect([events.length, events[0]?.kind]).toEqual([1_000, 'e100']);
});
