import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { linkSet, withRtnetlink } from '@nsm/netlink';
import { Connection, Empty, NetworkServiceDefinition, NetworkServiceRequest } from '@nsm/proto';
import { createGrpcTransport } from './grpc.ts';
import { service } from './transport.ts';

// The tests of this tier have a network and mount namespace of their own, with nothing in it that is up.
const LOOPBACK = { index: 1, name: 'lo' };
const dir = mkdtempSync(join(tmpdir(), 'hosts-'));
beforeAll(() => {
  writeFileSync(
    join(dir, 'hosts'),
    '127.0.0.2 several\n127.0.0.3 several\n203.0.113.1 several elsewhere\n',
  );
  withRtnetlink(undefined, (rtnetlink) => rtnetlink.request([linkSet(LOOPBACK, { up: true })]));
  execFileSync('mount', ['--bind', join(dir, 'hosts'), '/etc/hosts']);
});
afterAll(() => {
  execFileSync('umount', ['/etc/hosts']);
  rmSync(dir, { recursive: true });
});

const transport = createGrpcTransport();
afterAll(() => transport.close());
const listen = (url: string) =>
  transport.serve(url, 's', [
    service(NetworkServiceDefinition, {
      request: async ({ connection }) => connection ?? Connection.create(),
      close: async () => Empty.create(),
    }),
  ]);

test('a name is listened to on each of its addresses that the machine has, on one port', async () => {
  const listener = await listen('tcp://several:0');
  const port = listener.url.split(':').at(-1);
  for (const host of ['127.0.0.2', '127.0.0.3', 'several']) {
    const client = transport.client(NetworkServiceDefinition, `tcp://${host}:${port}`);
    const request = NetworkServiceRequest.fromPartial({ connection: { id: host } });
    const deadline = Date.now() + 20_000;
    expect((await client.request(request, { deadline })).id).toBe(host);
  }
  await listener.close(0);
});

test('a connection over TCP that is silent is asked for a sign of life', async () => {
  const listener = await listen('tcp://127.0.0.1:0');
  const port = Number(listener.url.split(':').at(-1));
  const socket = createConnection(port, '127.0.0.1');
  const local = port.toString(16).toUpperCase().padStart(4, '0');
  // The server's end of it: established (01), with a timer of kind 02, proc_net_tcp of the kernel's documentation.
  const isAsked = (): boolean =>
    readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(
        ([, own, , state, , timer]) =>
          own === `0100007F:${local}` && state === '01' && timer?.startsWith('02:') === true,
      );
  while (!isAsked()) await new Promise((resolve) => setTimeout(resolve, 10));
  socket.destroy();
  await listener.close(0);
});

test('where an address is in use, or none is here, nothing is listened to', async () => {
  const other = createServer().listen({ host: '127.0.0.3', port: 0 });
  await new Promise((resolve) => void other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  await expect(listen(`tcp://several:${port}`)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await new Promise((resolve) => void other.close(resolve));
  await (await listen(`tcp://several:${port}`)).close(0);
  await expect(listen('tcp://elsewhere:0')).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
});
