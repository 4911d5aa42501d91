import { describe, expect, test } from '@jest/globals';
import { chain } from '@nsm/chain';
import { createFakeDatapath } from '@nsm/datapath/fake';
import { ConnectionEventType as Event, State, type ConnectionEvent } from '@nsm/proto';
import { createConnections } from './connections.ts';
import { crossConnect } from './elements/cross-connect.ts';
import { lifecycle } from './elements/lifecycle.ts';
import { createRepair, type Repair } from './repair.ts';
import { callOf, kernel } from './testing.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };
const context = { ipContext: { srcIpAddrs: ['172.16.1.1/32'], dstIpAddrs: ['172.16.1.0/32'] } };
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

const nameOf = (names: Readonly<Record<string, number>>, value: number): string | undefined =>
  Object.keys(names).find((name) => names[name] === value);

/** An established wire, what watchers hear of it, and what was repaired. */
async function start() {
  const datapath = createFakeDatapath();
  const connections = createConnections(() => undefined);
  const element = chain(
    lifecycle(connections),
    crossConnect({ datapath, owner: 'forwarder', underlayMtu: 1500 }),
  );
  const repairs: Repair[] = [];
  const repair = createRepair({ connections, datapath, onRepair: (each) => repairs.push(each) });
  datapath.watch((disturbance) => void repair(disturbance));
  const request = () =>
    element.run(
      callOf({
        id: 'a',
        context,
        mechanism: kernel({ name: 'nsm-1', inodeURL: places.client }),
      }),
      async ({ connection }) => ({
        ...connection,
        mechanism: kernel({ name: 'nse-1', inodeURL: places.endpoint }),
      }),
    );
  await request();
  const heard: string[] = [];
  void (async () => {
    const events: AsyncIterable<ConnectionEvent> = connections.watch(
      { matches: () => true },
      new AbortController().signal,
    );
    for await (const { type, connections: some } of events)
      for (const { state } of Object.values(some))
        heard.push(`${nameOf(Event, type)} ${nameOf(State, state)}`);
  })();
  await settle();
  return { datapath, connections, repairs, repair, heard, request };
}

describe('a disturbed wire', () => {
  test('is whole again, and nobody hears of it', async () => {
    const { datapath, repairs, heard } = await start();
    const before = datapath.show(places);
    datapath.deleteLink(places.client, 'nsm-1');
    expect(datapath.reaches(places.client, '172.16.1.0')).toBe(false);
    await settle();
    expect(datapath.reaches(places.client, '172.16.1.0')).toBe(true);
    expect(datapath.show(places)).toEqual(before);
    expect(repairs).toEqual([{ id: 'a', outcome: 'repaired' }]);
    expect(heard).toEqual(['INITIAL_STATE_TRANSFER UP']);
  });

  test('that cannot be repaired is DOWN, until a repair or a refresh succeeds', async () => {
    const { datapath, connections, repair, repairs, heard } = await start();
    datapath.failNext('EPERM');
    datapath.takeDown(places.client, 'nsm-1');
    await settle();
    expect(repairs).toMatchObject([{ id: 'a', outcome: 'down', error: { code: 'EPERM' } }]);
    expect(heard).toEqual(['INITIAL_STATE_TRANSFER UP', 'UPDATE DOWN']);
    await repair({ id: 'a', cause: 'link' });
    await settle();
    expect(connections.get('a')).toMatchObject({ state: State.UP });
    expect(heard.at(-1)).toBe('UPDATE UP');
  });

  test('is closed when a namespace of it is gone', async () => {
    const { datapath, connections, repairs, heard } = await start();
    datapath.removeNetns(places.endpoint);
    await settle();
    expect(connections.list()).toEqual([]);
    expect(datapath.show({ client: places.client })).toEqual([]);
    expect(repairs).toEqual([{ id: 'a', outcome: 'closed' }]);
    expect(heard).toEqual(['INITIAL_STATE_TRANSFER UP', 'DELETE UP']);
  });

  test('leaves alone what is closed by then, and what ends elsewhere', async () => {
    const { datapath, connections, repair, repairs } = await start();
    await repair({ id: 'a', cause: 'namespace', netns: 'inode://4/99' });
    expect(connections.list()).toHaveLength(1);
    const closing = connections.close('a');
    await repair({ id: 'a', cause: 'lost' });
    await closing;
    expect(datapath.show(places)).toEqual([]);
    expect(repairs).toEqual([]);
  });
});
