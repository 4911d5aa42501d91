import { expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { Connection, State } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { callOf, kernel, passedOn } from '../testing.ts';
import { recall } from './recall.ts';

const POD = { inodeURL: 'inode://1/7', name: 'nsm-1' };
const segments = (...ids: string[]) =>
  ['nsc', 'mgr', 'fwd', 'nse'].flatMap((name, i) => (ids[i] ? [{ name, id: ids[i] }] : []));
const known = Connection.fromPartial({
  id: 'f-1',
  networkService: 'svc',
  networkServiceEndpointName: 'nse',
  context: { ipContext: { srcIpAddrs: ['172.16.1.1/32'] } },
  mechanism: kernel(POD),
  path: { index: 2, pathSegments: segments('nsc-0', 'm-1', 'f-1', 'e-1') },
});

const ask = (
  change: Parameters<typeof callOf>[0] = {},
  {
    parameters = POD,
    found = known,
  }: { readonly parameters?: Record<string, string>; readonly found?: Connection } = {},
) => {
  const connection = {
    id: 'm-2',
    networkService: 'svc',
    path: { index: 1, pathSegments: segments('nsc-0', 'm-2') },
    ...change,
  };
  const told: Connection[] = [];
  const clock = createFakeClock(0);
  const element = recall(
    {
      startedBy: (origin) => (found.path?.pathSegments[0]?.id === origin ? [found] : []),
      update: (_id, make) => void told.push(make(found)),
    },
    clock,
  );
  const call = callOf(connection, { preferences: [kernel(parameters)] });
  return { element, call, told, clock };
};
const asked = async (...args: Parameters<typeof ask>): Promise<Connection> => {
  const { element, call } = ask(...args);
  return (await passedOn(element, call)).connection;
};

test('a request that has lost the path of its wire is the refresh of it', async () => {
  expect(await asked()).toEqual({
    ...known,
    id: 'm-2',
    path: {
      index: 1,
      pathSegments: Connection.fromPartial({
        path: { pathSegments: segments('nsc-0', 'm-2', 'f-1', 'e-1') },
      }).path!.pathSegments,
    },
  });
});

test('the interface need not be named', async () => {
  const parameters = { inodeURL: POD.inodeURL };
  expect((await asked({}, { parameters })).networkServiceEndpointName).toBe('nse');
});

test('one that is down is left: only its path is taken', async () => {
  const { path, state, networkServiceEndpointName } = await asked(
    {},
    { found: { ...known, state: State.DOWN } },
  );
  expect(path?.pathSegments.map(({ id }) => id)).toEqual(['nsc-0', 'm-2', 'f-1', 'e-1']);
  expect(state).toBe(State.RESELECT_REQUESTED);
  expect(networkServiceEndpointName).toBe('');
});

test('one whose endpoint does not come back is down after a while', async () => {
  const { element, call, told, clock } = ask();
  const gone = (): Promise<Connection> => Promise.reject(new NsmError('not-found', 'no nse'));
  await expect(element.run(call, gone)).rejects.toThrow('no nse');
  await clock.advance(2_999);
  await expect(element.run(call, gone)).rejects.toThrow('no nse');
  expect(told).toEqual([]);
  await clock.advance(1);
  await expect(element.run(call, gone)).rejects.toThrow('no nse');
  expect(told.map(({ state }) => state)).toEqual([State.DOWN]);
  const refused = (): Promise<Connection> => Promise.reject(new NsmError('permission-denied', ''));
  await expect(element.run(call, refused)).rejects.toThrow();
  expect(told).toHaveLength(1);
});

test.each([
  ['of another namespace', {}, { ...POD, inodeURL: 'inode://1/8' }],
  ['for another interface', {}, { ...POD, name: 'nsm-2' }],
  ['for another service', { networkService: 'other' }, POD],
  ['of another wire', { path: { index: 1, pathSegments: segments('nsc-1', 'm-2') } }, POD],
  ['with its path', { path: { index: 1, pathSegments: segments('nsc-0', 'm-2', 'f-2') } }, POD],
])('a request %s is left as it is', async (_what, change, parameters) => {
  expect((await asked(change, { parameters })).networkServiceEndpointName).toBe('');
});
