import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@nsm/chain/testing';
import { createConnections, lifecycle, updatePath, type ConnectionElement } from '@nsm/connection';
import { chain } from '@nsm/chain';
import { Connection, State } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { nscChain, type NscDeps } from './chain.ts';
import type { Attempt } from './attempt.ts';
import { keepWire } from './wire.ts';

test('the chain of a client, in order', () => {
  expect(nscChain({} as NscDeps).name).toMatchInlineSnapshot(
    `"update-path > update-token > lifecycle > one-by-one > exclude-others > to-manager > follow-next-hop > connect"`,
  );
});

/** A client whose manager answers as told; tokens live for `lifetimeMs`. */
const start = (lifetimeMs: number) => {
  const clock = createFakeClock(0);
  const connections = createConnections(() => undefined);
  const asked: Connection[] = [];
  const attempts: Attempt['kind'][] = [];
  let refusal: NsmError | undefined;
  const manager: ConnectionElement = {
    name: 'manager',
    run: async ({ connection }) => {
      asked.push(connection);
      if (refusal) throw refusal;
      const expires = { seconds: (clock.now() + lifetimeMs) / 1_000, nanos: 0 };
      const segment = (name: string) => ({ name, id: name, token: '', expires, metrics: {} });
      return {
        ...connection,
        networkServiceEndpointName: 'nse',
        path: {
          index: 0,
          pathSegments: [
            { ...segment('nsc'), id: 'nsc-0' },
            segment('nsmgr'),
            segment('fwd'),
            segment('nse'),
          ],
        },
      };
    },
  };
  const wire = keepWire({
    id: 'nsc-0',
    request: { service: 'svc', interface: 'nsm-1', labels: { app: 'x' } },
    chain: chain(
      updatePath('nsc', () => 'unused'),
      lifecycle(connections),
      manager,
    ),
    connections,
    clock,
    random: () => 0.5,
    netns: 'inode://4/1',
    requestTimeoutMs: 15_000,
    onAttempt: ({ kind }) => attempts.push(kind),
  });
  return { clock, wire, asked, attempts, refuse: (err: NsmError | undefined) => (refusal = err) };
};

describe('a wire', () => {
  test('is refreshed after a fifth of the lifetime of its tokens, with what was answered', async () => {
    const { clock, wire, asked, attempts } = start(600_000);
    await wire.up;
    await clock.advance(119_000);
    expect(attempts).toEqual(['connect']);
    await clock.advance(2_000);
    expect(attempts).toEqual(['connect', 'refresh']);
    expect(asked[1]?.path?.pathSegments.map(({ name }) => name)).toEqual([
      'nsc',
      'nsmgr',
      'fwd',
      'nse',
    ]);
    expect(asked[1]?.networkServiceEndpointName).toBe('nse');
    await wire.close();
  });

  test('is asked for until it is there', async () => {
    const { clock, wire, attempts, refuse } = start(600_000);
    refuse(new NsmError('not-found', 'network service svc is not found'));
    await clock.advance(1_000);
    expect(attempts.length).toBeGreaterThanOrEqual(3);
    refuse(undefined);
    await clock.advance(5_000);
    await wire.up;
    await wire.close();
  });

  test('whose endpoint is gone is selected anew, by its path only', async () => {
    const { clock, wire, asked, attempts, refuse } = start(600_000);
    await wire.up;
    refuse(new NsmError('not-found', 'network service endpoint nse not found'));
    await clock.advance(120_100);
    refuse(undefined);
    await clock.advance(1_000);
    expect(attempts).toEqual(['connect', 'refresh', 'reselect']);
    const last = asked.at(-1);
    expect([
      last?.state,
      last?.networkServiceEndpointName,
      last?.mechanism,
      last?.path?.pathSegments.length,
    ]).toEqual([State.RESELECT_REQUESTED, '', undefined, 4]);
    await wire.close();
  });

  test('that only cannot be refreshed is kept, and refreshed again', async () => {
    const { clock, wire, attempts, refuse } = start(600_000);
    await wire.up;
    refuse(new NsmError('unavailable', 'nsmgr is gone'));
    await clock.advance(130_000);
    refuse(undefined);
    await clock.advance(6_000);
    expect(new Set(attempts.slice(1))).toEqual(new Set(['refresh']));
    await wire.close();
  });

  test('that is closed before it is up says so', async () => {
    const { clock, wire, refuse } = start(600_000);
    refuse(new NsmError('unavailable', 'nsmgr is gone'));
    await clock.advance(100);
    await wire.close();
    await expect(wire.up).rejects.toMatchObject({ code: 'cancelled' });
    expect(clock.pending).toBe(0);
  });
});

test('a wire of an earlier process is asked for until the manager has answered, and never made a second time', async () => {
  const clock = createFakeClock(0);
  const connections = createConnections(() => undefined);
  const asked: Connection[] = [];
  const manager: ConnectionElement = {
    name: 'manager',
    run: async ({ connection }) => {
      asked.push(connection);
      return connection;
    },
  };
  const expires = { seconds: 600, nanos: 0 };
  const there = Connection.fromPartial({
    id: 'nsc-0',
    networkService: 'svc',
    path: {
      pathSegments: [
        { name: 'nsc', id: 'nsc-0', expires },
        { name: 'nsmgr', id: 'its-own', expires },
      ],
    },
  });
  let failures = 2;
  const told: (string | undefined)[] = [];
  const wire = keepWire({
    id: 'nsc-0',
    request: { service: 'svc', interface: 'nsm-1', labels: {} },
    chain: chain(
      updatePath('nsc', () => 'unused'),
      lifecycle(connections),
      manager,
    ),
    connections,
    clock,
    random: () => 0.5,
    netns: 'inode://4/1',
    requestTimeoutMs: 15_000,
    onAttempt: ({ error }) => told.push(error?.message),
    recover: async () => {
      if ((failures -= 1) >= 0) throw new NsmError('unavailable', 'nobody listens');
      return there;
    },
  });
  await clock.advance(100);
  expect(asked).toEqual([]);
  await clock.advance(1_000);
  await wire.up;
  expect(told).toEqual(['nobody listens', 'nobody listens', undefined]);
  expect(asked[0]?.path?.pathSegments.map(({ id }) => id)).toEqual(['nsc-0', 'its-own']);
  await wire.close();
});
