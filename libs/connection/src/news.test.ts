import { expect, test } from '@jest/globals';
import { Connection, State } from '@nsm/proto';
import { connectionNews, EXPIRED, type ConnectionNews } from './news.ts';

const connection = (state: State = State.UP, index = 1, endpoint = 'nse'): Connection =>
  Connection.fromPartial({
    id: 'mine',
    networkService: 'svc',
    networkServiceEndpointName: endpoint,
    state,
    path: {
      index,
      pathSegments: [
        { name: 'a', id: 'a-0' },
        { name: 'n1', id: 'mine' },
      ],
    },
  });

const start = () => {
  const told: ConnectionNews[] = [];
  const clock = { now: 0 };
  const change = connectionNews(
    () => clock.now,
    (news) => told.push(news),
  );
  return {
    change,
    clock,
    told,
    brief: () => told.map(({ kind, ms }) => (ms ? `${kind} ${ms}` : kind)),
  };
};

test('a path that was down and a request that mends it are a heal, with what it took', () => {
  const { change, clock, brief, told } = start();
  change({ type: 'requested', connection: connection(), was: undefined, reselected: false });
  change({ type: 'state', connection: connection(State.DOWN), was: connection() });
  clock.now = 300;
  change({
    type: 'requested',
    connection: connection(),
    was: connection(State.DOWN),
    reselected: false,
  });
  expect(brief()).toEqual(['request', 'heal-start', 'refresh', 'heal-end 300']);
  expect(told[3]).toMatchObject({
    client: 'a',
    connection: 'a-0',
    service: 'svc',
    endpoint: 'nse',
  });
  expect(told[3]?.cause).toBe(told[1]?.cause);
});

test('a path that comes back by itself ends its heal too', () => {
  const { change, clock, brief } = start();
  change({ type: 'state', connection: connection(State.DOWN), was: connection() });
  clock.now = 100;
  change({ type: 'state', connection: connection(), was: connection(State.DOWN) });
  expect(brief()).toEqual(['heal-start', 'heal-end 100']);
});

test('a reselection is a heal of a dead wire', () => {
  const { change, clock, brief } = start();
  change({ type: 'leaving', connection: connection() });
  clock.now = 50;
  change({
    type: 'requested',
    connection: connection(State.UP, 1, 'other'),
    was: connection(),
    reselected: true,
  });
  expect(brief()).toEqual(['heal-start', 'reselect', 'heal-end 50']);
});

test('what was not refreshed has expired, what is closed is closed', () => {
  const { change, brief } = start();
  change({ type: 'closed', connection: connection(), cause: EXPIRED });
  change({ type: 'closed', connection: connection(), cause: 'its caller closed it' });
  expect(brief()).toEqual(['expiry', 'close']);
});

test('hops further on leave the telling to the first', () => {
  const { change, brief } = start();
  change({
    type: 'requested',
    connection: connection(State.UP, 3),
    was: undefined,
    reselected: false,
  });
  expect(brief()).toEqual([]);
});
