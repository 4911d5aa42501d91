import { createHmac, sign } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Scope, systemClock as clock, untraced } from '@nsm/chain';
import { connect } from '@nsm/connection';
import type { Token } from '@nsm/identity';
import { createAuthority } from '@nsm/identity/authority';
import { createPolicies } from '@nsm/policy';
import {
  Connection,
  Empty,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceEndpoint,
} from '@nsm/proto';
import { NsmError, service, type Identity } from '@nsm/rpc';
import { ADMIN, startSecure, type Party, type Secure } from '../worlds/secure.ts';

let mesh: Secure;
let [client, mallory]: Party[] = [];
let wire: Connection;
beforeAll(async () => {
  mesh = await startSecure();
  client = mesh.party('client');
  mallory = mesh.party('mallory');
  wire = await client.ask(mesh.urls.manager);
});
afterAll(() => mesh.stop());

let before: string;
beforeEach(() => {
  before = mesh.state();
});

/** A call is refused with this, and has changed nothing. */
async function refused(call: Promise<unknown>, code: string, policy?: string): Promise<void> {
  const error = await call.then(
    () => undefined,
    (err: unknown) => NsmError.from(err),
  );
  expect(error).toMatchObject({ code, ...(policy !== undefined && { policy }) });
  if (policy !== undefined) expect(error).toMatchObject({ element: 'authorize' });
  expect(mesh.state()).toBe(before);
}
const denied = (call: Promise<unknown>, policy: string): Promise<void> =>
  refused(call, 'permission-denied', policy);

const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const soon = { seconds: Math.floor(Date.now() / 1_000) + 600, nanos: 0 };
/** What mallory shows instead of a token, built from its identity. */
const forged = async (
  claims: object,
  header: object = { alg: 'ES256', typ: 'JWT' },
  signed?: (text: string, identity: Identity) => Buffer,
): Promise<Token> => {
  const identity = await mallory!.source.current();
  const manager = 'spiffe://nsm.test/manager';
  const all = { sub: mallory!.id, aud: [manager], exp: soon.seconds, ...claims };
  const text = `${json(header)}.${json(all)}`;
  const es256 = () =>
    sign('sha256', Buffer.from(text), { key: identity.privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = signed ? signed(text, identity) : es256();
  return { token: `${text}.${signature.toString('base64url')}`, expires: soon };
};
const now = (): number => Math.floor(Date.now() / 1_000);
const hs256 = (text: string, { certificates: [{ publicKey }] }: Identity): Buffer =>
  createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' }))
    .update(text)
    .digest();

describe('a Request with a forged token', () => {
  test.each<[string, () => Promise<Token> | 'none', string]>([
    ['that expired a second ago', () => forged({ exp: now() - 1 }), 'tokens-expired'],
    ['that is not valid yet', () => forged({ nbf: now() + 60 }), 'prev-token-signed'],
    ['of alg none', () => forged({}, { alg: 'none' }, () => Buffer.of()), 'tokens-valid'],
    ['of HS256 with the public key', () => forged({}, { alg: 'HS256' }, hs256), 'tokens-valid'],
    ['for another hop', () => forged({ aud: ['spiffe://nsm.test/registry'] }), 'tokens-chained'],
    ['of another subject', () => forged({ sub: 'spiffe://nsm.test/client' }), 'prev-token-signed'],
    [
      'with a broken signature',
      () => forged({}, undefined, () => Buffer.alloc(64)),
      'prev-token-signed',
    ],
    ['of 16 KiB', () => forged({ more: 'x'.repeat(16 << 10) }), 'tokens-valid'],
    ['that is none', () => Promise.resolve({ token: 'x', expires: soon }), 'tokens-valid'],
    [
      'of another connection',
      () => client!.tokens.issue({ spiffeId: 'spiffe://nsm.test/manager' }),
      'prev-token-signed',
    ],
    ['or none at all', () => 'none', 'tokens-valid'],
  ])('%s is refused', async (_what, token, policy) => {
    await denied(mallory!.ask(mesh.urls.manager, { token: await token() }), policy);
  });

  test('of 48 KiB is refused unread, and so is one of a megabyte in the path', async () => {
    const long = await forged({ more: 'x'.repeat(36 << 10) });
    await refused(mallory!.ask(mesh.urls.manager, { token: long }), 'exhausted');
    const own = { name: 'mallory', id: 'm-0', ...(await forged({ more: 'x'.repeat(1 << 20) })) };
    const { path } = Connection.fromPartial({ path: { index: 0, pathSegments: [own] } });
    const call = mallory!.ask(mesh.urls.manager, { path, id: 'm-0', token: 'none' });
    await refused(call, 'invalid-argument');
  });
});

describe('a forged path', () => {
  test('of another client, replayed as it is, is refused', async () => {
    const call = mallory!.ask(mesh.urls.manager, { path: wire.path, id: wire.id, token: 'none' });
    await denied(call, 'prev-token-signed');
  });

  test('that leads to the connection of another client is refused, at each hop of it', async () => {
    const segments = wire.path!.pathSegments;
    for (const [k, hop] of (['manager', 'forwarder', 'endpoint'] as const).entries()) {
      const own = { name: 'mallory', id: 'm-0' };
      const path = Connection.fromPartial({
        path: { index: 0, pathSegments: [own, segments[k + 1]!] },
      }).path;
      await denied(mallory!.ask(mesh.urls[hop], { path, id: 'm-0' }), 'connection-owned');
      const closing = Connection.fromPartial({ id: 'm-0', networkService: 'svc', path });
      await denied(mallory!.close(mesh.urls[hop], closing), 'connection-owned');
    }
  });

  test('through an honest manager to what another client has further down is refused', async () => {
    const segments = wire.path!.pathSegments;
    const path = Connection.fromPartial({
      path: {
        index: 0,
        pathSegments: [
          { name: 'mallory', id: 'm-0' },
          { name: 'manager', id: 'm-1' },
          segments[2]!,
          segments[3]!,
        ],
      },
    }).path;
    await denied(mallory!.ask(mesh.urls.manager, { path, id: 'm-0' }), 'connection-owned');
  });

  test.each<[string, (path: NonNullable<Connection['path']>) => void]>([
    ['a hop is dropped', ({ pathSegments }) => pathSegments.splice(1, 1)],
    [
      'hops are exchanged',
      ({ pathSegments }) => pathSegments.splice(1, 2, pathSegments[2]!, pathSegments[1]!),
    ],
    [
      'a hop is invented',
      ({ pathSegments }) => pathSegments.splice(1, 0, { ...pathSegments[1]!, name: 'x' }),
    ],
  ])('where %s before the caller is refused', async (_what, change) => {
    // As a forwarder of mallory's would ask the endpoint for the client.
    const path = structuredClone(wire.path!);
    change(path);
    path.index = 2;
    const { id } = path.pathSegments[2]!;
    const call = mallory!.ask(mesh.urls.endpoint, { path, id });
    await denied(call, 'tokens-chained');
  });

  test('of 10,000 segments is refused', async () => {
    const pathSegments = Array.from({ length: 10_000 }, (_, k) => ({ name: `h${k}`, id: 'x' }));
    const { path } = Connection.fromPartial({ path: { index: 0, pathSegments } });
    await refused(mallory!.ask(mesh.urls.manager, { path, id: 'x' }), 'exhausted');
  });
});

describe('an answer', () => {
  /** Asks a hop made by hand, which answers with a token that another key has signed; answers what became of it there. */
  const answered = async (established: boolean) => {
    const [server, signer] = [mesh.party('hand-made'), mesh.party('hand-made')];
    const closed: string[] = [];
    let by = established ? server : signer;
    const listener = await server.transport.serve(`${mesh.urls.endpoint}.hand`, 'hand-made', [
      service(NetworkServiceDefinition, {
        request: async ({ connection }) => {
          const { pathSegments } = connection!.path!;
          const [first] = pathSegments;
          const own = { name: 'hand-made', id: 'h-0', metrics: {} };
          const path = {
            index: 0,
            pathSegments: [
              first!,
              { ...own, ...(await by.tokens.issue({ spiffeId: client!.id })) },
            ],
          };
          return { ...connection!, path };
        },
        close: async ({ id }) => {
          closed.push(id);
          return Empty.create();
        },
      }),
    ]);
    const element = connect({
      dialer: client!.transport,
      tokens: client!.tokens,
      policies: createPolicies(),
      clock,
    });
    const scope = new Scope();
    const ask = async (): Promise<unknown> => {
      const own = {
        name: 'client',
        id: 'c-0',
        ...(await client!.tokens.issue({ spiffeId: server.id })),
      };
      return element.run(
        {
          op: 'request',
          connection: Connection.fromPartial({
            id: 'c-0',
            networkService: 'svc',
            path: { index: 0, pathSegments: [own] },
          }),
          preferences: [],
          token: undefined,
          deadline: undefined,
          signal: new AbortController().signal,
          scope,
          trace: untraced,
          target: { name: 'hand-made', url: listener.url },
        },
        async (last) => last.connection,
      );
    };
    if (established) await ask();
    by = signer;
    const error = await ask().catch((err: unknown) => err);
    await listener.close(0);
    return { error, closed };
  };

  test('of somebody else than has answered is refused, and the connection it made is closed', async () => {
    const { error, closed } = await answered(false);
    expect(error).toMatchObject({ code: 'permission-denied', policy: 'next-token-signed' });
    expect(closed).toEqual(['c-0']);
  });

  test('to a refresh is refused likewise, and the connection stays', async () => {
    const { error, closed } = await answered(true);
    expect(error).toMatchObject({ policy: 'next-token-signed' });
    expect(closed).toEqual([]);
  });
});

describe('an identity', () => {
  test('of another authority of the same name is not let in', async () => {
    const other = createAuthority('nsm.test', 60_000, clock);
    await refused(mesh.party('client', other).ask(mesh.urls.manager), 'unavailable');
  });

  test('of a foreign trust domain is not let in', async () => {
    const other = createAuthority('elsewhere.test', 60_000, clock);
    await refused(mesh.party('client', other).ask(mesh.urls.manager), 'unavailable');
  });

  test('of an authority that has ended is not let in', async () => {
    const past = { ...clock, now: () => Date.now() - 3_600_000 };
    const other = createAuthority('nsm.test', 1_000, past);
    const late = mesh.party('late');
    const issued = { ...other, trustDomain: 'nsm.test' }.issue(late.id, 1_000);
    // The source itself would not give out what has ended, so it is made to look longer.
    const lasting = new Proxy(issued.certificates[0], {
      get: (of, name) => {
        const value: unknown =
          name === 'validTo' ? 'Jan  1 00:00:00 2099 GMT' : Reflect.get(of, name);
        return typeof value === 'function' ? (value.bind(of) as unknown) : value;
      },
    });
    late.source.set({ ...issued, certificates: [lasting] });
    await refused(late.ask(mesh.urls.manager), 'unavailable');
  });
});

describe('what another one has registered', () => {
  const endpoint = () => mesh.endpoints.get('endpoint')!;

  test('cannot be taken away or over, directly or through a manager', async () => {
    for (const url of [mesh.urls.registry, mesh.urls.manager, mesh.urls.manager2]) {
      const { endpoints, services } = mallory!.registryAt(url);
      await denied(endpoints.unregister(endpoint()), 'client-allowed');
      await denied(endpoints.register({ ...endpoint(), url: 'tcp://mallory:1' }), 'client-allowed');
      await denied(services.unregister(mesh.services.get('svc')!), 'client-allowed');
      const changed = { ...mesh.services.get('svc')!, payload: 'ETHERNET' };
      await denied(services.register(changed), 'client-allowed');
    }
  });

  test('cannot be taken away after the registry has started anew', async () => {
    await mesh.restartRegistry();
    const { endpoints } = mallory!.registryAt(mesh.urls.registry);
    await denied(endpoints.unregister(endpoint()), 'client-allowed');
  });

  test('cannot be taken by saying who one is not', async () => {
    const { endpoints } = mallory!.registryAt(mesh.urls.registry);
    const path = { index: 0, tokens: ['x'] };
    const pathIds = endpoint().pathIds;
    await denied(endpoints.unregister({ ...endpoint(), pathIds }, { path }), 'client-allowed');
  });

  test('may be said again by others, through any manager, and stays its owner’s', async () => {
    const there = mesh.services.get('svc')!;
    for (const url of [mesh.urls.registry, mesh.urls.manager, mesh.urls.manager2])
      await mallory!.registryAt(url).services.register({ ...there, pathIds: [] });
    expect(mesh.services.get('svc')).toEqual(there);
  });

  test('goes to whoever comes next once its owner has left', async () => {
    const [first, next] = [client!, mallory!].map((one) => one.registryAt(mesh.urls.manager));
    const mine = NetworkServiceEndpoint.fromPartial({ name: 'free', url: 'tcp://a:1' });
    await first!.endpoints.register(mine);
    before = mesh.state();
    await denied(next!.endpoints.register(mine), 'client-allowed');
    await first!.endpoints.unregister(mine);
    await next!.endpoints.register(mine);
    await next!.endpoints.unregister(mine);
    expect(mesh.endpoints.get('free')).toBeUndefined();
  });
});

describe('a monitor', () => {
  const seen = async (of: Party, url: string): Promise<string[]> => {
    const monitor = of.transport.client(MonitorConnectionDefinition, url);
    for await (const { connections } of monitor.monitorConnections(MonitorScopeSelector.create()))
      return Object.keys(connections);
    throw new Error('the stream has ended');
  };

  test('shows a connection to those on its path and to admins, and to nobody else', async () => {
    const ids = wire.path!.pathSegments.map(({ id }) => id);
    expect(await seen(client!, mesh.urls.manager)).toEqual([ids[1]]);
    expect(await seen(client!, mesh.urls.endpoint)).toEqual([ids[3]]);
    expect(await seen(mallory!, mesh.urls.manager)).toEqual([]);
    expect(await seen(mesh.party(ADMIN.split('/').at(-1)!), mesh.urls.manager)).toEqual([ids[1]]);
  });
});

test('after all that the wire is refreshed and closed by its client, and nothing is left of it', async () => {
  const refreshed = await client!.ask(mesh.urls.manager, { path: wire.path, id: wire.id });
  expect(refreshed.path!.pathSegments.map(({ id }) => id)).toEqual(
    wire.path!.pathSegments.map(({ id }) => id),
  );
  await client!.close(mesh.urls.manager, refreshed);
  expect(mesh.connections.list()).toEqual([]);
  expect(mesh.datapath.show().filter((line) => / link add /.test(line))).toEqual([]);
});
