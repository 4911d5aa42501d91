import { beforeEach, describe, expect, test } from '@jest/globals';
import { chain, Scope } from '@nsm/chain';
import { createFakeClock, elementLaws } from '@nsm/chain/testing';
import { insecureTokens } from '@nsm/identity';
import { createPolicies } from '@nsm/policy';
import {
  Connection,
  Empty,
  NetworkServiceDefinition,
  type NetworkServiceRequest,
} from '@nsm/proto';
import { createMemoryTransport, NsmError, service, type ServerContext } from '@nsm/rpc';
import type { Call } from '../call.ts';
import { callOf, echo } from '../testing.ts';
import { connect } from './connect.ts';

const target = { name: 'peer', url: 'tcp://peer:1' };
const other = { name: 'other', url: 'tcp://other:1' };

/** Peers that remember what is connected, as ids of their own. */
const start = async (
  handle: (request: NetworkServiceRequest, context: ServerContext) => Promise<void> = async () =>
    undefined,
) => {
  const transport = createMemoryTransport();
  const open: string[] = [];
  const seen: ServerContext[] = [];
  for (const { name, url } of [target, other])
    await transport.serve(url, name, [
      service(NetworkServiceDefinition, {
        request: async (request, context) => {
          seen.push(context);
          await handle(request, context);
          const id = `${name}/${request.connection?.id ?? ''}`;
          if (!open.includes(id)) open.push(id);
          return Connection.fromPartial({ ...request.connection, labels: { known: id } });
        },
        close: async ({ labels }) => {
          const at = open.indexOf(labels['known'] ?? '');
          if (at >= 0) open.splice(at, 1);
          return Empty.create();
        },
      }),
    ]);
  const clock = createFakeClock(Date.now());
  const element = connect({
    dialer: transport,
    clock,
    tokens: insecureTokens('me', 60_000, clock),
    policies: createPolicies(),
  });
  return { element, open, seen, clock };
};

describe('connect', () => {
  test('sends the own token and less time than it has', async () => {
    const { element, seen, clock } = await start();
    await element.run(callOf({ id: 'a' }, { target, deadline: clock.now() + 10_000 }), echo);
    expect(seen[0]?.header('nsm-client-token')).toMatch(/^ey/);
    expect(seen[0]?.deadline).toBe(clock.now() + 9_900);
  });

  test('a close sends what the peer answered', async () => {
    const { element, open } = await start();
    const call = callOf({ id: 'a' }, { target });
    await element.run(call, echo);
    expect(open).toEqual(['peer/a']);
    await call.scope.close();
    expect(open).toEqual([]);
  });

  test('another peer is asked only after the old one was left', async () => {
    const open: string[][] = [];
    const peers = await start(async () => void open.push([...peers.open]));
    const scope = new Scope();
    await chain(peers.element).run(callOf({ id: 'a' }, { target, scope }), echo);
    scope.commit();
    await chain(peers.element).run(callOf({ id: 'a' }, { target: other, scope }), echo);
    expect(open).toEqual([[], []]);
    expect(peers.open).toEqual(['other/a']);
  });

  test('an answer that comes after the caller gave up is closed again', async () => {
    const entered = Promise.withResolvers<undefined>();
    const answer = Promise.withResolvers<undefined>();
    const { element, open } = await start(async () => {
      entered.resolve(undefined);
      await answer.promise;
    });
    const controller = new AbortController();
    const call = callOf({ id: 'a' }, { target, signal: controller.signal });
    const run = element.run(call, echo);
    await entered.promise;
    controller.abort(new NsmError('cancelled', 'enough'));
    answer.resolve(undefined);
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(open).toEqual([]);
    expect(call.scope.empty).toBe(true);
  });

  test('that of a refresh is not: its wire stays, and is still closed with the rest', async () => {
    const entered = Promise.withResolvers<undefined>();
    const answer = Promise.withResolvers<undefined>();
    let calls = 0;
    const { element, open } = await start(async () => {
      calls += 1;
      if (calls === 1) return;
      entered.resolve(undefined);
      await answer.promise;
    });
    const scope = new Scope();
    await element.run(callOf({ id: 'a' }, { target, scope }), echo);
    scope.commit();
    const controller = new AbortController();
    const run = element.run(
      callOf({ id: 'a' }, { target, scope, signal: controller.signal }),
      echo,
    );
    await entered.promise;
    controller.abort(new NsmError('cancelled', 'its caller was killed'));
    answer.resolve(undefined);
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(open).toEqual(['peer/a']);
    await scope.close();
    expect(open).toEqual([]);
  });

  test('a peer that does not answer a caller who gave up is left to itself after a moment', async () => {
    const entered = Promise.withResolvers<undefined>();
    const abandoned = Promise.withResolvers<undefined>();
    const { element, clock } = await start((_request, { signal }) => {
      entered.resolve(undefined);
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          abandoned.resolve(undefined);
          reject(new Error('aborted'));
        }),
      );
    });
    const controller = new AbortController();
    const run = element.run(callOf({ id: 'a' }, { target, signal: controller.signal }), echo);
    await entered.promise;
    controller.abort();
    const failed = expect(run).rejects.toBeDefined();
    await clock.advance(1_000);
    await abandoned.promise;
    await failed;
  });

  test('what the peer refuses is passed on as it is', async () => {
    const { element } = await start(() =>
      Promise.reject(new NsmError('exhausted', 'IPPool is empty')),
    );
    await expect(element.run(callOf({ id: 'a' }, { target }), echo)).rejects.toMatchObject({
      code: 'exhausted',
      hop: 'peer',
    });
  });
});

describe('connect obeys the laws', () => {
  let peers: Awaited<ReturnType<typeof start>>;
  beforeEach(async () => {
    peers = await start();
  });
  elementLaws<Call, Connection>('connect', () => ({
    element: () => ({
      name: 'connect and what is below',
      // connect ends a chain: what the laws answer stands for something that fails above it.
      run: async (call, next) => {
        const answer = await peers.element.run(call, echo);
        await next(call);
        return answer;
      },
    }),
    call: (base) => callOf({ id: 'a' }, { ...base, target }),
    answer: (call) => call.connection,
    state: () => [...peers.open],
  }));
});
