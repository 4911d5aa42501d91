import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { Connection, Empty, NetworkServiceDefinition, NetworkServiceRequest } from '@nsm/proto';
import {
  createGrpcTransport,
  service,
  type LimitName,
  type Limits,
  type Transport,
} from '@nsm/rpc';
import { createAuthority } from './authority.ts';
import { heldIdentity } from './testing.ts';

const HOUR = 3_600_000;
const authority = createAuthority('nsm.test', HOUR, systemClock);

let dir: string;
const open: { close: () => unknown }[] = [];
let reached: [LimitName, string | undefined][];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'conns-'));
  reached = [];
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  rmSync(dir, { recursive: true });
});

const transportOf = (name: string, limits: Partial<Limits> = {}): Transport => {
  const identity = authority.issue(`spiffe://nsm.test/${name}`, HOUR);
  const transport = createGrpcTransport(heldIdentity(identity, systemClock), {
    limits,
    onLimit: (limit, peer) => reached.push([limit, peer]),
  });
  open.push({ close: () => transport.close() });
  return transport;
};

async function serve(url: string, limits: Partial<Limits>): Promise<string> {
  const listener = await transportOf('server', limits).serve(url, 's', [
    service(NetworkServiceDefinition, {
      request: async ({ connection }) => connection ?? Connection.create(),
      close: async () => Empty.create(),
    }),
  ]);
  open.push({ close: () => listener.close(0) });
  return listener.url;
}

const ask = (transport: Transport, url: string): Promise<Connection> =>
  transport
    .client(NetworkServiceDefinition, url)
    .request(NetworkServiceRequest.create(), { deadline: Date.now() + 10_000 });

/** A connection that says nothing. */
async function silent(url: string): Promise<Socket> {
  const socket = url.startsWith('unix')
    ? createConnection(url.slice('unix://'.length))
    : createConnection(Number(url.split(':')[2]), '127.0.0.1');
  socket.on('error', () => undefined).resume();
  open.push({ close: () => socket.destroy() });
  await once(socket, 'connect');
  return socket;
}
const ended = (socket: Socket): Promise<unknown> =>
  socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));

describe.each<[string, () => string]>([
  ['tcp', () => 'tcp://127.0.0.1:0'],
  ['a unix socket', () => `unix://${dir}/x.sock`],
])('a server on %s', (_name, urlIn) => {
  test('cuts who does not finish a TLS handshake in time', async () => {
    const url = await serve(urlIn(), { halfOpenMs: 50 });
    await ended(await silent(url));
    expect(reached).toEqual([['half-open', undefined]]);
  });

  test('cuts who has been at a handshake for longest when there are too many, and serves who finishes one', async () => {
    const url = await serve(urlIn(), { halfOpen: 2 });
    const sockets = [await silent(url), await silent(url)];
    await ask(transportOf('honest'), url);
    await ended(sockets[0]!);
    expect(sockets[1]!.destroyed).toBe(false);
    expect(reached).toEqual([['half-open', undefined]]);
  });

  test('refuses calls of an identity that come on one connection too many, and serves others', async () => {
    const url = await serve(urlIn(), { connectionsPerIdentity: 1 });
    const first = transportOf('greedy');
    await ask(first, url);
    await expect(ask(transportOf('greedy'), url)).rejects.toMatchObject({
      code: 'exhausted',
      hop: 's',
      message: expect.stringContaining('spiffe://nsm.test/greedy has 1 connections'),
    });
    expect(reached).toEqual([['connections', 'spiffe://nsm.test/greedy']]);
    await ask(transportOf('honest'), url);
    await ask(first, url);
  });
});
