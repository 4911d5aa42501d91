import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { Connection, Empty, NetworkServiceDefinition, NetworkServiceRequest } from '@nsm/proto';
import { createGrpcTransport, NsmError, service, type Descriptors } from '@nsm/rpc';
import { createAuthority } from './authority.ts';
import { heldIdentity } from './testing.ts';

const HOUR = 3_600_000;
const OWN = '/proc/self/ns/net';

test('descriptors go below mutual TLS, to the call of their connection, and none stays open', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const dir = mkdtempSync(join(tmpdir(), 'fd-'));
  const authority = createAuthority('home.test', HOUR, systemClock);
  const transportOf = (name: string) =>
    createGrpcTransport(
      heldIdentity(authority.issue(`spiffe://home.test/${name}`, HOUR), systemClock),
    );
  const server = transportOf('server');
  const { dev, ino } = statSync(OWN, { bigint: true });
  const own = `inode://${dev}/${ino}`;
  const listener = await server.serve(`unix://${dir}/x.sock`, 's', [
    service(NetworkServiceDefinition, {
      request: async (_request, { descriptors, peer, signal }) => {
        closeSync(await descriptors!.receive(own, signal));
        closeSync(descriptors!.peerNetns());
        send(descriptors);
        return Connection.fromPartial({ id: peer!.spiffeId });
      },
      close: async () => Empty.create(),
    }),
  ]);
  const send = (descriptors: Descriptors | undefined): void => {
    const fd = openSync(OWN, 'r');
    descriptors!.send(fd);
    closeSync(fd);
  };
  const clients = Array.from({ length: 10 }, (_, i) => transportOf(`client-${i}`));
  const ids = await Promise.all(
    clients.map(async (client) => {
      let line: Descriptors | undefined;
      const { id } = await client
        .client(NetworkServiceDefinition, listener.url)
        .request(NetworkServiceRequest.create(), {
          deadline: Date.now() + 20_000,
          onConnection: (descriptors) => {
            line = descriptors;
            send(descriptors);
          },
        });
      closeSync(line!.arrived(own)!);
      return id;
    }),
  );
  expect(ids).toEqual(clients.map((_, i) => `spiffe://home.test/client-${i}`));
  // Nobody whom the handshake refuses leaves anything either.
  const stranger = connectTls({ socket: createConnection(`${dir}/x.sock`), ALPNProtocols: ['h2'] });
  await new Promise((resolve) => void stranger.once('error', resolve));
  stranger.destroy();
  for (const client of clients) client.close();
  await listener.close(0);
  server.close();
  rmSync(dir, { recursive: true });
  while (readdirSync('/proc/self/fd').length > before)
    await new Promise((resolve) => setTimeout(resolve, 10));
});

test('a call that a server refuses while its connection is replaced is made once more, with its descriptors', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fd-'));
  const authority = createAuthority('home.test', HOUR, systemClock);
  const sourceOf = (name: string) =>
    heldIdentity(authority.issue(`spiffe://home.test/${name}`, HOUR), systemClock);
  const source = sourceOf('server');
  const server = createGrpcTransport(source);
  let [asked, changing] = [0, true];
  const listener = await server.serve(`unix://${dir}/x.sock`, 's', [
    service(NetworkServiceDefinition, {
      request: async ({ connection }, { descriptors }) => {
        asked += 1;
        if (changing) {
          source.set(authority.issue('spiffe://home.test/server', HOUR));
          // The client hears of it before it hears of the refusal.
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        changing = false;
        if (asked % 2 === 1) throw new NsmError('permission-denied', 'no descriptor has come');
        const { dev, ino } = statSync(OWN, { bigint: true });
        closeSync(descriptors!.arrived(`inode://${dev}/${ino}`)!);
        return connection ?? Connection.create();
      },
      close: async () => Empty.create(),
    }),
  ]);
  const client = createGrpcTransport(sourceOf('client'));
  const ask = () =>
    client.client(NetworkServiceDefinition, listener.url).request(NetworkServiceRequest.create(), {
      deadline: Date.now() + 20_000,
      onConnection: (descriptors) => {
        const fd = openSync(OWN, 'r');
        descriptors!.send(fd);
        closeSync(fd);
      },
    });
  await ask();
  expect(asked).toBe(2);
  // A refusal on a connection that stays is one.
  await expect(ask()).rejects.toMatchObject({ code: 'permission-denied' });
  expect(asked).toBe(3);
  client.close();
  await listener.close(0);
  server.close();
  rmSync(dir, { recursive: true });
});
