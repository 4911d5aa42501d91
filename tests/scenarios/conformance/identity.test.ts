import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { millis, svidTokens, tokenHeaders, type Token, type TokenSource } from '@nsm/identity';
import { createAuthority } from '@nsm/identity/authority';
import { heldIdentity } from '@nsm/identity/testing';
import { createPrefixPool, parsePrefix } from '@nsm/ip';
import { NetworkServiceDefinition, NetworkServiceRequest, type Connection } from '@nsm/proto';
import { createPolicies } from '@nsm/policy';
import { createGrpcTransport, type CallOptions, type Transport } from '@nsm/rpc';
import { createNse } from '@nsm/service-nse';
import { direct, requestFrom } from '../../worlds/direct.ts';
import { startNetns } from '../../worlds/netns.ts';
import { twoNodes } from '../../worlds/topologies.ts';
import { kernel, LIFETIME, MINUTE, namesOf, refusal } from './stage.ts';

const authority = createAuthority('nsm.test', 60 * MINUTE, systemClock);
const stranger = createAuthority('nsm.test', 60 * MINUTE, systemClock);
const [A, S] = ['spiffe://nsm.test/a', 'spiffe://nsm.test/s'];
const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;

const stops: (() => unknown)[] = [];
let folder = '';
beforeEach(() => {
  const made = mkdtempSync(join(tmpdir(), 'nsm-'));
  folder = made;
  stops.push(() => rmSync(made, { recursive: true }));
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A workload with an identity that can be replaced. */
function workload(id: string, ttlMs = 60 * MINUTE, lifetimeMs = LIFETIME) {
  const source = heldIdentity(authority.issue(id, ttlMs), systemClock);
  const transport = createGrpcTransport(source);
  stops.push(() => transport.close());
  return { source, transport, tokens: svidTokens(source, lifetimeMs, systemClock) };
}

/** An endpoint S; answers where. */
async function serveEndpoint({ transport, tokens }: { transport: Transport; tokens: TokenSource }) {
  const nse = createNse({
    name: 'S',
    clock: systemClock,
    random: Math.random,
    newId: randomUUID,
    transport,
    tokens,
    policies: createPolicies(),
    pools: [createPrefixPool([parsePrefix('172.16.1.0/24')])],
    polite: true,
    netns: 'inode://1/2',
    managerUrl: 'tcp://127.0.0.1:1',
    offers: ['svc'],
    payload: 'IP',
    labels: {},
    registerServices: false,
    unregister: false,
    onUndoFailure: () => undefined,
  });
  const listener = await transport.serve(`unix://${folder}/s.sock`, 'S', nse.services);
  stops.push(() => listener.close(0));
  return listener.url;
}

/** A request of A; `token` instead of its own. */
const ask = (
  { transport, tokens }: { transport: Transport; tokens: TokenSource },
  url: string,
  options: CallOptions & { readonly token?: Token; readonly path?: Connection['path'] } = {},
): Promise<Connection> =>
  transport.client(NetworkServiceDefinition, url).request(
    NetworkServiceRequest.fromPartial({
      mechanismPreferences: [kernel()],
      connection: {
        id: 'A-1',
        networkService: 'svc',
        path: options.path ?? { index: 0, pathSegments: [{ name: 'A', id: 'A-1' }] },
      },
    }),
    {
      deadline: Date.now() + 10_000,
      headers: async (server) => tokenHeaders(options.token ?? (await tokens.issue(server))),
    },
  );

describe('tokens', () => {
  test("9: a hop's token is an ES256 JWT of its SPIFFE id, for its caller's", async () => {
    const answer = await ask(workload(A), await serveEndpoint(workload(S)));
    const token = answer.path!.pathSegments[1]!.token;
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'ES256',
      typ: 'JWT',
    });
    const claims = claimsOf(token);
    expect(claims).toEqual({ sub: S, aud: [A], exp: expect.any(Number) });
    expect(Number.isInteger(claims['exp'])).toBe(true);
  });

  test("11: a token ends with its signer's certificate where that is earlier", async () => {
    const server = workload(S, 5 * MINUTE);
    const answer = await ask(workload(A), await serveEndpoint(server));
    const { token, expires } = answer.path!.pathSegments[1]!;
    const { certificates } = await server.source.current();
    expect(claimsOf(token)['exp']).toBe(Date.parse(certificates[0].validTo) / 1_000);
    expect(millis(expires)).toBe(Date.parse(certificates[0].validTo));
  });

  const rogue = (id: string, lifetimeMs: number) =>
    svidTokens(heldIdentity(stranger.issue(id, 60 * MINUTE), systemClock), lifetimeMs, systemClock);

  test('17: a token signed by another key than that of the connection is refused', async () => {
    const url = await serveEndpoint(workload(S));
    const token = await rogue(A, LIFETIME).issue({ spiffeId: S });
    const { code, message } = await refusal(ask(workload(A), url, { token }));
    expect(code).toBe('permission-denied');
    expect(message).toContain('no sufficient privileges');
  });

  test('18: an expired token is refused', async () => {
    const [client, url] = [workload(A), await serveEndpoint(workload(S))];
    const late = svidTokens(client.source, -1_000, systemClock);
    const { code, message } = await refusal(
      ask(client, url, { token: await late.issue({ spiffeId: S }) }),
    );
    expect(code).toBe('permission-denied');
    expect(message).toContain('expired');
  });

  test('20: a Close with a broken token closes nothing', async () => {
    const [client, url] = [workload(A), await serveEndpoint(workload(S))];
    const answer = await ask(client, url);
    const service = client.transport.client(NetworkServiceDefinition, url);
    const forged = await rogue(A, LIFETIME).issue({ spiffeId: S });
    const { code } = await refusal(service.close(answer, { headers: tokenHeaders(forged) }));
    expect(code).toBe('permission-denied');
    const again = await ask(client, url, { path: answer.path });
    expect(again.context?.ipContext?.srcIpAddrs).toEqual(answer.context?.ipContext?.srcIpAddrs);
  });
});

describe('connections', () => {
  test('15: without a certificate the handshake fails', async () => {
    const url = await serveEndpoint(workload(S));
    const socket = connectTls({
      path: url.slice('unix://'.length),
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.2',
      ALPNProtocols: ['h2'],
    });
    const failed = await new Promise<{ code?: string }>((resolve) => socket.on('error', resolve));
    expect(failed.code).toMatch(/HANDSHAKE_FAILURE|ECONNRESET/);
  });

  test('16: any SPIFFE id of a trusted authority is accepted, under whatever host name', async () => {
    const url = await serveEndpoint(workload('spiffe://nsm.test/with/a/longer/path'));
    for (const id of [A, 'spiffe://nsm.test/x/y/z'])
      expect(namesOf(await ask(workload(id), url))).toEqual(['A', 'S']);
  });

  test('22: what comes after a rotation uses the new SVID, for connections and tokens', async () => {
    const [client, server] = [workload(A), workload(S)];
    const url = await serveEndpoint(server);
    const before = await ask(client, url);
    const renewed = authority.issue(A, 60 * MINUTE);
    client.source.set(renewed);
    // A token of the new key is accepted on a connection that shows the new certificate, and on no other.
    const after = await ask(client, url, { path: before.path });
    const tokens = [before, after].map(({ path }) => path!.pathSegments[0]!.token);
    expect(tokens[0]).not.toBe(tokens[1]);
    server.source.set(authority.issue(S, 60 * MINUTE));
    expect(namesOf(await ask(client, url, { path: after.path }))).toEqual(['A', 'S']);
  });
});

describe('the path of a mesh with identities', () => {
  let world: Awaited<ReturnType<typeof startNetns>>;
  beforeEach(async () => {
    world = await startNetns(twoNodes('conf-id', '  c: { node: n1, services: [kernel://near] }'));
  });
  afterEach(() => world.stop());

  test('13, 14: each token is of its hop for the next one, and the last is for its caller', async () => {
    for (const [service, hops] of [
      ['near', ['', '/nsmgr-n1', '/forwarder-n1', '/nse-near']],
      ['far', ['', '/nsmgr-n1', '/forwarder-n1', '/nsmgr-n2', '/forwarder-n2', '/nse-far']],
    ] as const) {
      const request = requestFrom(world, 'c', service, {
        connection: {
          id: `direct-${service}`,
          networkService: service,
          path: { index: 0, pathSegments: [{ name: 'direct', id: `direct-${service}` }] },
        },
        mechanismPreferences: [
          {
            cls: 'LOCAL',
            type: 'KERNEL',
            parameters: { name: service, inodeURL: world.netns('c') },
          },
        ],
      });
      const { path } = await direct(world, 'n1').request(request);
      const claims = path!.pathSegments.map(({ token }) => claimsOf(token));
      const ids = hops.map((hop) => `spiffe://nsm.local/conf-id${hop}`);
      expect(claims.map(({ sub }) => sub)).toEqual(ids);
      expect(claims.map(({ aud }) => aud)).toEqual(ids.map((_id, i) => [ids[i + 1] ?? ids[i - 1]]));
    }
  });
});
