import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { insecureTokens, millis, subjectOf, tokenHeaders } from '@nsm/identity';
import { NetworkServiceDefinition, NetworkServiceRequest, type Connection } from '@nsm/proto';
import { direct, requestFrom } from '../../worlds/direct.ts';
import { startMemory } from '../../worlds/memory.ts';
import { twoNodes } from '../../worlds/topologies.ts';
import type { World } from '../../worlds/world.ts';
import { startNse } from './parts.ts';
import {
  callerOf,
  createStage,
  idsOf,
  kernel,
  LIFETIME,
  namesOf,
  refusal,
  type Caller,
  type Stage,
} from './stage.ts';

const segments = (...names: string[]) =>
  names.map((name, i) => ({ name, id: i === 0 ? 'A-1' : `id-${name}` }));

const audience = (token: string): unknown =>
  (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { aud?: unknown }).aud;

describe('the path of an endpoint', () => {
  let stage: Stage;
  let a: Caller;
  beforeEach(async () => {
    stage = createStage();
    a = callerOf(stage, await startNse(stage));
  });
  afterEach(() => stage.end());

  test("1: a request with a path of one segment is answered with two, and the caller's id and index", async () => {
    const answer = await a.request({ id: 'A-1' });
    expect(answer.id).toBe('A-1');
    expect(answer.path!.index).toBe(0);
    expect(namesOf(answer)).toEqual(['A', 'S']);
    expect(idsOf(answer)).toEqual(['A-1', expect.stringMatching(/^[0-9a-f-]{36}$/)]);
  });

  test('2: the answer sent again unchanged keeps the id of every segment', async () => {
    const first = await a.request();
    const second = await a.request(first);
    expect(idsOf(second)).toEqual(idsOf(first));
    expect(second.path!.index).toBe(0);
  });

  test('3: a segment with another name is taken over, with a new id', async () => {
    const first = await a.request();
    const path = { index: 0, pathSegments: first.path!.pathSegments.map((s) => ({ ...s })) };
    path.pathSegments[1]!.name = 'X';
    const second = await a.request({ ...first, path });
    expect(namesOf(second)).toEqual(['A', 'S']);
    expect(idsOf(second)[1]).not.toBe(idsOf(first)[1]);
  });

  test.each([1, 2, 4_000_000_000])(
    '4: an index of %i beyond the path is refused',
    async (index) => {
      const path = { index, pathSegments: segments('A') };
      for (const call of [
        a.request({ path }),
        a.close({ id: 'A-1', networkService: 'svc', path }),
      ]) {
        const error = await refusal(call);
        expect(error.message).toContain('should be less or equal len(Path.PathSegments)');
        expect(error.code).toBe('invalid-argument');
      }
    },
  );

  test('5: an id that is not that of the segment is refused, in requests and closes', async () => {
    const connection = {
      id: 'B-1',
      networkService: 'svc',
      path: { index: 0, pathSegments: segments('A') },
    };
    for (const call of [a.request(connection), a.close(connection)])
      expect((await refusal(call)).message).toContain('should be equal Connection.Id');
  });

  test('6: without a path the hop is its origin, without a connection the request is refused (ours)', async () => {
    const service = stage.transport.client(NetworkServiceDefinition, stage.unix('S'));
    const error = await refusal(service.request(NetworkServiceRequest.fromPartial({})));
    expect(error.code).toBe('invalid-argument');
    const answer = await service.request(
      NetworkServiceRequest.fromPartial({
        connection: { id: 'A-1', networkService: 'svc' },
        mechanismPreferences: [kernel()],
      }),
    );
    expect([namesOf(answer), idsOf(answer), answer.path!.index]).toEqual([['S'], ['A-1'], 0]);
  });

  test('7: a hop that finds its own name at the index adds no segment', async () => {
    const answer = await a.request({
      path: { index: 1, pathSegments: segments('A', 'S') },
      id: 'id-S',
    });
    expect(namesOf(answer)).toEqual(['A', 'S']);
    expect([answer.id, answer.path!.index]).toEqual(['id-S', 1]);
  });

  test("10: the token of the call stands in the caller's segment, with its expiry", async () => {
    const token = await insecureTokens('A', 123_000, stage.clock).issue(undefined);
    const answer = await a.request({}, { headers: tokenHeaders(token) });
    expect(answer.path!.pathSegments[0]).toMatchObject(token);
  });

  test('12: the answer of a terminal endpoint ends with its own segment', async () => {
    const answer = await a.request({
      path: { index: 0, pathSegments: segments('A', 'S', 'stale', 'staler') },
    });
    expect(namesOf(answer)).toEqual(['A', 'S']);
    expect(idsOf(answer)[1]).toBe('id-S');
  });
});

describe('the path of a mesh', () => {
  let world: World;
  beforeEach(async () => {
    world = await startMemory(twoNodes('conf', '  c: { node: n1, services: [kernel://near/c0] }'));
    await world.connected('c');
  });
  afterEach(() => world.stop());

  const pathTo = async (service: string): Promise<Connection> =>
    direct(world, 'n1').request(requestFrom(world, 'c', service));
  const expectChained = (answer: Connection): void => {
    const path = answer.path!.pathSegments;
    expect(path.map(({ token }) => subjectOf(token))).toEqual(
      path.map(({ name }) => `spiffe://insecure/${name}`),
    );
    // Whom a call's token is for is not known without certificates; the last hop's is for its caller.
    expect(path.slice(0, -1).map(({ token }) => audience(token))).toEqual(
      path.slice(0, -1).map(() => undefined),
    );
    expect(audience(path.at(-1)!.token)).toEqual([`spiffe://insecure/${path.at(-2)!.name}`]);
  };

  test('8: every segment of an answer has a token, and an expiry to come', async () => {
    const path = (await pathTo('far')).path!.pathSegments;
    for (const { token, expires } of path) {
      expect(token).not.toBe('');
      const left = millis(expires) - Date.now();
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(LIFETIME);
    }
  });

  test('13: on one node the path has four segments, each with the token of its hop', async () => {
    const answer = await pathTo('near');
    expect(namesOf(answer)).toEqual(['direct', 'n1', 'forwarder-n1', 'nse-near']);
    expectChained(answer);
  });

  test('14: across two nodes the path has six segments', async () => {
    const answer = await pathTo('far');
    expect(namesOf(answer)).toEqual([
      'direct',
      'n1',
      'forwarder-n1',
      'n2',
      'forwarder-n2',
      'nse-far',
    ]);
    expectChained(answer);
  });
});
