import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import {
  Connection,
  ConnectionEvent,
  Empty,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceRequest,
} from '@nsm/proto';
import {
  createGrpcTransport,
  service,
  type Identity,
  type Listener,
  type Peer,
  type Transport,
} from '@nsm/rpc';
import { createAuthority } from './authority.ts';
import { heldIdentity } from './testing.ts';

const HOUR = 3_600_000;
const home = createAuthority('home.test', HOUR, systemClock);
const away = createAuthority('away.test', HOUR, systemClock);
const [homeCa, awayCa] = [[home.certificate], [away.certificate]];
const trusting = (
  identity: Identity,
  bundles: Record<string, Identity['bundles'] extends ReadonlyMap<string, infer V> ? V : never>,
): Identity => ({
  ...identity,
  bundles: new Map(Object.entries(bundles)),
});
const both = { 'home.test': homeCa, 'away.test': awayCa };

let dir: string;
const open: { close: () => unknown }[] = [];
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'tls-'))));
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  rmSync(dir, { recursive: true });
});

const transportOf = (identity?: Identity): Transport => {
  const transport = createGrpcTransport(identity && heldIdentity(identity, systemClock));
  open.push({ close: () => transport.close() });
  return transport;
};

/** Serves, and tells who has called. */
async function serveAt(transport: Transport, url: string) {
  const seen: (Peer | undefined)[] = [];
  const listener: Listener = await transport.serve(url, 's', [
    service(NetworkServiceDefinition, {
      request: async (_request, context) => {
        seen.push(context.peer);
        return Connection.fromPartial({ id: context.header('for') ?? '' });
      },
      close: async () => Empty.create(),
    }),
    service(MonitorConnectionDefinition, {
      monitorConnections: async function* (_selector, { signal }) {
        for (let i = 0; !signal.aborted; i += 1) {
          yield ConnectionEvent.fromPartial({ connections: { [String(i)]: {} } });
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      },
    }),
  ]);
  open.push({ close: () => listener.close(0) });
  return { url: listener.url, seen };
}

const ask = async (transport: Transport, url: string): Promise<string> => {
  const { id } = await transport
    .client(NetworkServiceDefinition, url)
    .request(NetworkServiceRequest.create(), {
      deadline: Date.now() + 5_000,
      headers: async (server) => ({ for: server?.spiffeId ?? 'nobody' }),
    });
  return id;
};

/** The serial number of the certificate a server shows. */
async function shown(transport: Transport, url: string): Promise<string | undefined> {
  let serial: string | undefined;
  await transport.client(NetworkServiceDefinition, url).request(NetworkServiceRequest.create(), {
    deadline: Date.now() + 5_000,
    headers: async (server) => {
      serial = server?.certificate.serialNumber;
      return {};
    },
  });
  return serial;
}

describe.each<[string, () => string]>([
  ['tcp', () => 'tcp://127.0.0.1:0'],
  ['a unix socket', () => `unix://${dir}/x.sock`],
])('mutual TLS over %s', (_name, urlIn) => {
  test('tells each end who the other is, before the first header', async () => {
    const { url, seen } = await serveAt(
      transportOf(home.issue('spiffe://home.test/server', HOUR)),
      urlIn(),
    );
    const client = transportOf(home.issue('spiffe://home.test/a/client', HOUR));
    expect(await ask(client, url)).toBe('spiffe://home.test/server');
    expect(seen.map((peer) => peer?.spiffeId)).toEqual(['spiffe://home.test/a/client']);
    expect(seen[0]?.notAfter).toBeGreaterThan(Date.now());
  });

  test('refuses a client without a certificate, and one that speaks plain text', async () => {
    const { url, seen } = await serveAt(
      transportOf(home.issue('spiffe://home.test/server', HOUR)),
      urlIn(),
    );
    await expect(ask(transportOf(), url)).rejects.toMatchObject({ code: 'unavailable' });
    const socket = connectTls({
      ...(url.startsWith('unix')
        ? { path: url.slice(7) }
        : { host: '127.0.0.1', port: Number(url.split(':')[2]) }),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    // With TLS 1.3 the client learns of it after its own end of the handshake.
    const ended = Promise.withResolvers<string>();
    socket.on('error', (err: Error & { code?: string }) => ended.resolve(err.code ?? ''));
    socket.on('close', () => ended.resolve('closed'));
    socket.resume();
    expect(await ended.promise).toMatch(/CERTIFICATE_REQUIRED|HANDSHAKE|closed|ECONNRESET/);
    expect(seen).toEqual([]);
  });

  test('refuses a client and a server of a trust domain it does not know', async () => {
    const server = home.issue('spiffe://home.test/server', HOUR);
    const stranger = away.issue('spiffe://away.test/x', HOUR);
    const { url, seen } = await serveAt(transportOf(server), urlIn());
    await expect(ask(transportOf(stranger), url)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(ask(transportOf(trusting(stranger, both)), url)).rejects.toBeDefined();
    expect(seen).toEqual([]);
  });

  test('accepts federated trust domains', async () => {
    const server = trusting(home.issue('spiffe://home.test/server', HOUR), both);
    const { url, seen } = await serveAt(transportOf(server), urlIn());
    await ask(transportOf(trusting(away.issue('spiffe://away.test/x', HOUR), both)), url);
    expect(seen[0]?.spiffeId).toBe('spiffe://away.test/x');
  });

  test('refuses who has its certificate from the authority of another trust domain', async () => {
    // Both are trusted, each for its own domain: exchanged bundles are what a forged certificate looks like.
    const crossed = { 'home.test': awayCa, 'away.test': homeCa };
    const server = home.issue('spiffe://home.test/server', HOUR);
    const client = home.issue('spiffe://home.test/client', HOUR);
    const first = await serveAt(transportOf(trusting(server, crossed)), urlIn());
    await expect(ask(transportOf(client), first.url)).rejects.toMatchObject({
      code: 'unauthenticated',
      message: expect.stringContaining('not from its trust domain'),
    });
    expect(first.seen).toEqual([]);
    const second = await serveAt(transportOf(server), 'tcp://127.0.0.1:0');
    await expect(ask(transportOf(trusting(client, crossed)), second.url)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('not from its trust domain'),
    });
  });

  test('refuses an expired certificate', async () => {
    const { url } = await serveAt(
      transportOf(home.issue('spiffe://home.test/server', HOUR)),
      urlIn(),
    );
    const expired = home.issue('spiffe://home.test/late', -1_000);
    const transport = createGrpcTransport({
      current: async () => expired,
      onChange: () => () => undefined,
      close: () => undefined,
    });
    open.push({ close: () => transport.close() });
    await expect(ask(transport, url)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('uses a new identity for new calls while streams go on', async () => {
    const server = heldIdentity(home.issue('spiffe://home.test/server', HOUR), systemClock);
    const serving = createGrpcTransport(server);
    const { url, seen } = await serveAt(serving, urlIn());
    const own = heldIdentity(home.issue('spiffe://home.test/client', HOUR), systemClock);
    const client = createGrpcTransport(own);
    open.push({ close: () => client.close() });
    const events = client
      .client(MonitorConnectionDefinition, url)
      .monitorConnections(MonitorScopeSelector.create())
      [Symbol.asyncIterator]();
    const next = async (): Promise<number> => {
      const { value } = (await events.next()) as { value: ConnectionEvent };
      return Number(Object.keys(value.connections)[0]);
    };
    await next();
    await ask(client, url);
    own.set(home.issue('spiffe://home.test/client', HOUR));
    await ask(client, url);
    const renewed = home.issue('spiffe://home.test/server', HOUR);
    server.set(renewed);
    // A call that is under way when the connection is replaced is made again on the next one.
    await ask(client, url);
    expect(await shown(client, url)).toBe(renewed.certificates[0].serialNumber);
    const serials = seen.map((peer) => peer?.certificate.serialNumber);
    expect(serials[0]).not.toBe(serials[1]);
    expect(serials[1]).toBe(serials[2]);
    let last = await next();
    for (let i = 0; i < 5; i += 1) {
      const now = await next();
      expect(now).toBe(last + 1);
      last = now;
    }
    await events.return?.();
  });
});

test('0 calls fail while both ends change their identities all the time', async () => {
  const server = heldIdentity(home.issue('spiffe://home.test/server', HOUR), systemClock);
  const { url } = await serveAt(createGrpcTransport(server), `unix://${dir}/x.sock`);
  const own = heldIdentity(home.issue('spiffe://home.test/client', HOUR), systemClock);
  const client = createGrpcTransport(own);
  open.push({ close: () => client.close() });
  for (let round = 0; round < 20; round += 1) {
    const calls = Array.from({ length: 10 }, () => ask(client, url));
    (round % 2 === 0 ? own : server).set(
      home.issue(`spiffe://home.test/${round % 2 === 0 ? 'client' : 'server'}`, HOUR),
    );
    calls.push(...Array.from({ length: 10 }, () => ask(client, url)));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['spiffe://home.test/server']));
  }
});
