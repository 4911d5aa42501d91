import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { Connection, Empty, NetworkServiceDefinition, NetworkServiceRequest } from '@nsm/proto';
import { createGrpcTransport, service, type Descriptors } from '@nsm/rpc';
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

test('a call that waits on a connection which is replaced has its descriptors on the next one, and each answer on its own', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const dir = mkdtempSync(join(tmpdir(), 'fd-'));
  const authority = createAuthority('home.test', HOUR, systemClock);
  const sourceOf = (name: string) =>
    heldIdentity(authority.issue(`spiffe://home.test/${name}`, HOUR), systemClock);
  const source = sourceOf('server');
  // One call at a time: the next one waits in the client.
  const server = createGrpcTransport(source, { limits: { callsPerConnection: 1 } });
  const { dev, ino } = statSync(OWN, { bigint: true });
  const own = `inode://${dev}/${ino}`;
  const show = (descriptors: Descriptors | undefined): void => {
    const fd = openSync(OWN, 'r');
    descriptors!.send(fd);
    closeSync(fd);
  };
  const [served, goOn] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const listener = await server.serve(`unix://${dir}/x.sock`, 's', [
    service(NetworkServiceDefinition, {
      request: async ({ connection }, { descriptors }) => {
        closeSync(await descriptors!.receive(own, AbortSignal.timeout(1_000)));
        if (connection!.id === 'first') {
          served.resolve(undefined);
          await goOn.promise;
        }
        show(descriptors);
        return connection!;
      },
      close: async () => Empty.create(),
    }),
  ]);
  const client = createGrpcTransport(sourceOf('client'));
  const ask = async (id: string, onSent = (): void => undefined): Promise<void> => {
    let line: Descriptors | undefined;
    await client
      .client(NetworkServiceDefinition, listener.url)
      .request(NetworkServiceRequest.fromPartial({ connection: { id } }), {
        deadline: Date.now() + 20_000,
        onConnection: (descriptors) => {
          line = descriptors;
          show(descriptors);
          onSent();
        },
      });
    closeSync(await line!.receive(own, AbortSignal.timeout(1_000)));
  };
  const first = ask('first');
  await served.promise;
  const sent = Promise.withResolvers<undefined>();
  const second = ask('second', () => sent.resolve(undefined));
  await sent.promise;
  source.set(authority.issue('spiffe://home.test/server', HOUR));
  // Both ends are in this process: turns of its event loop bring word of it to the client.
  for (let turn = 0; turn < 100; turn += 1)
    await new Promise((resolve) => void setImmediate(resolve));
  await ask('third');
  goOn.resolve(undefined);
  await Promise.all([first, second]);
  client.close();
  await listener.close(0);
  server.close();
  rmSync(dir, { recursive: true });
  while (readdirSync('/proc/self/fd').length > before)
    await new Promise((resolve) => setTimeout(resolve, 10));
});
