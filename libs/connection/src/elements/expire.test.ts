import { describe, expect, test } from '@jest/globals';
import { chain, slot } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import type { ConnectionElement } from '../call.ts';
import { createConnections } from '../connections.ts';
import { callOf, echo } from '../testing.ts';
import { expire } from './expire.ts';
import { lifecycle } from './lifecycle.ts';

const start = () => {
  const clock = createFakeClock(0);
  const connections = createConnections(() => undefined);
  let fail = false;
  const flaky: ConnectionElement = {
    name: 'flaky',
    run: (call, next) => (fail ? Promise.reject(new Error('no')) : next(call)),
  };
  const element = chain(lifecycle(connections), expire(connections, clock), flaky);
  const request = (seconds: number, change = {}) =>
    element.run(
      callOf(
        {
          id: 'n',
          path: {
            index: 1,
            pathSegments: [
              { name: 'a', id: 'a', expires: { seconds, nanos: 0 } },
              { name: 'N', id: 'n' },
            ],
          },
        },
        change,
      ),
      echo,
    );
  return { clock, connections, request, failing: (now: boolean) => (fail = now) };
};

describe('expire', () => {
  test('closes what is not refreshed, at the end of the caller’s token less the time the request had', async () => {
    const { clock, connections, request } = start();
    await request(60, { deadline: 10_000 });
    await clock.advance(49_999);
    expect(connections.list()).toHaveLength(1);
    await clock.advance(1);
    expect(connections.list()).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  test('a token shorter than the request may take is not spent on closing early', async () => {
    const { clock, connections, request } = start();
    await request(8, { deadline: 15_000 });
    await clock.advance(5_999);
    expect(connections.list()).toHaveLength(1);
    await clock.advance(1);
    expect(connections.list()).toHaveLength(0);
  });

  test('a refresh moves the end', async () => {
    const { clock, connections, request } = start();
    await request(60);
    await request(120);
    await clock.advance(60_000);
    expect(connections.list()).toHaveLength(1);
    await clock.advance(60_000);
    expect(connections.list()).toHaveLength(0);
  });

  test('after a failed refresh the old end stands', async () => {
    const { clock, connections, request, failing } = start();
    await request(60);
    failing(true);
    await expect(request(120)).rejects.toThrow('no');
    await clock.advance(60_000);
    expect(connections.list()).toHaveLength(0);
  });

  test('a refresh that something above refuses does not move the end', async () => {
    const clock = createFakeClock(0);
    const connections = createConnections(() => undefined);
    let refuse = false;
    const above: ConnectionElement = {
      name: 'above',
      run: async (call, next) => {
        const answer = await next(call);
        if (refuse) throw new Error('refused');
        return answer;
      },
    };
    const element = chain(lifecycle(connections), above, expire(connections, clock));
    const request = (seconds: number) =>
      element.run(
        callOf({
          id: 'n',
          path: {
            index: 1,
            pathSegments: [
              { name: 'a', id: 'a', expires: { seconds, nanos: 0 } },
              { name: 'N', id: 'n' },
            ],
          },
        }),
        echo,
      );
    await request(60);
    refuse = true;
    await expect(request(120)).rejects.toThrow('refused');
    await clock.advance(60_000);
    expect(connections.list()).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  test('the timer of a connection that is gone never touches a new one with the same id', async () => {
    const { clock, connections, request } = start();
    await request(60);
    await connections.close('n');
    await request(3_600);
    await clock.advance(60_000);
    expect(connections.list()).toHaveLength(1);
  });

  test('a caller without an expiry is refused before anything is asked below', async () => {
    const { connections } = start();
    const held = slot('never');
    const below: ConnectionElement = {
      name: 'below',
      run: (call, next) => {
        call.scope.hold(held, 1, () => undefined);
        return next(call);
      },
    };
    const call = callOf({
      id: 'n',
      path: {
        index: 1,
        pathSegments: [
          { name: 'a', id: 'a' },
          { name: 'N', id: 'n' },
        ],
      },
    });
    await expect(
      chain(expire(connections, createFakeClock()), below).run(call, echo),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('cannot be nil') as unknown,
    });
    expect(call.scope.empty).toBe(true);
  });
});
