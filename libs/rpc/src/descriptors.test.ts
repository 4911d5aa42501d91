import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Connection, Empty, NetworkServiceDefinition, NetworkServiceRequest } from '@nsm/proto';
import type { Descriptors } from './descriptors.ts';
import { NsmError } from './error.ts';
import { createGrpcTransport } from './grpc.ts';
import type { Client, Implementation, Listener, ServerContext, Transport } from './transport.ts';
import { service } from './transport.ts';

type Api = Implementation<typeof NetworkServiceDefinition>;

let dir: string;
let transport: Transport;
let listener: Listener | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fd-'));
  transport = createGrpcTransport();
});
afterEach(async () => {
  await listener?.close(0);
  transport.close();
  rmSync(dir, { recursive: true });
});

const serve = async (request: Api['request']): Promise<Client<typeof NetworkServiceDefinition>> => {
  listener = await transport.serve(`unix://${dir}/x.sock`, 's', [
    service(NetworkServiceDefinition, { request, close: async () => Empty.create() }),
  ]);
  return transport.client(NetworkServiceDefinition, listener.url);
};
const limit = () => ({ deadline: Date.now() + 20_000 });
const about = (text: string) => NetworkServiceRequest.fromPartial({ connection: { id: text } });

/** A file, and what it is called on the wire. */
function makeFile(name: string): { path: string; inode: string } {
  const path = join(dir, name);
  writeFileSync(path, name);
  const { dev, ino } = statSync(path, { bigint: true });
  return { path, inode: `inode://${dev}/${ino}` };
}

const send = (descriptors: Descriptors | undefined, path: string): void => {
  const fd = openSync(path, 'r');
  descriptors!.send(fd);
  closeSync(fd);
};
const isOpen = (fd: number, inode: string): boolean => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return inode === `inode://${dev}/${ino}`;
};
const descriptorsOpen = (): number => readdirSync('/proc/self/fd').length;

const { signal } = new AbortController();

test('a descriptor goes ahead of a request, and another comes with the answer', async () => {
  const [there, back] = [makeFile('there'), makeFile('back')];
  const client = await serve(async (_request, { descriptors }) => {
    const fd = await descriptors!.receive(there.inode, signal);
    const same = isOpen(fd, there.inode);
    closeSync(fd);
    send(descriptors, back.path);
    return Connection.fromPartial({ id: String(same) });
  });
  let line: Descriptors | undefined;
  const onConnection = (descriptors: Descriptors | undefined): void => {
    line = descriptors;
    send(descriptors, there.path);
  };
  expect((await client.request(about(''), { ...limit(), onConnection })).id).toBe('true');
  const fd = line!.arrived(back.inode)!;
  expect(isOpen(fd, back.inode)).toBe(true);
  closeSync(fd);
  expect(line!.arrived(back.inode)).toBeUndefined();
});

test('it may come after its message, and may have come before', async () => {
  const file = makeFile('file');
  const waiting = Promise.withResolvers<undefined>();
  const client = await serve(async ({ connection }, { descriptors }) => {
    if (connection?.id !== 'take') return Connection.create();
    waiting.resolve(undefined);
    closeSync(await descriptors!.receive(file.inode, signal));
    return Connection.create();
  });
  const sending = { onConnection: (line: Descriptors | undefined) => send(line, file.path) };
  const late = client.request(about('take'), limit());
  await waiting.promise;
  await client.request(about('carries it'), { ...limit(), ...sending });
  await late;
  await client.request(about('carries it'), { ...limit(), ...sending });
  await client.request(about('take'), limit());
});

test('one that is only looked at is there for who takes it', async () => {
  const file = makeFile('file');
  const client = await serve(async (_request, { descriptors }) => {
    const shown = descriptors!.shown(file.inode)!;
    const taken = descriptors!.arrived(file.inode)!;
    const both = [shown, taken].every((fd) => isOpen(fd, file.inode));
    for (const fd of [shown, taken]) closeSync(fd);
    return Connection.fromPartial({ id: `${both} ${descriptors!.shown(file.inode)}` });
  });
  const onConnection = (line: Descriptors | undefined): void => send(line, file.path);
  expect((await client.request(about(''), { ...limit(), onConnection })).id).toBe('true undefined');
});

test('each of two calls takes the one it was sent', async () => {
  const file = makeFile('file');
  const client = await serve(async (_request, { descriptors }) => {
    closeSync(await descriptors!.receive(file.inode, signal));
    return Connection.create();
  });
  const onConnection = (line: Descriptors | undefined): void => send(line, file.path);
  await Promise.all(
    Array.from({ length: 50 }, () => client.request(about(''), { ...limit(), onConnection })),
  );
});

test('the bytes are the same, whatever goes beside them', async () => {
  const files = Array.from({ length: 100 }, (_, i) => makeFile(`f${i}`));
  const labels = Object.fromEntries(
    Array.from({ length: 60 }, (_, i) => [
      `k${i}`,
      String.fromCharCode(97 + (i % 26)).repeat(60_000),
    ]),
  );
  const client = await serve(async ({ connection }, { descriptors }) => {
    for (const { path } of files) send(descriptors, path);
    return connection!;
  });
  for (let i = 0; i < 3; i += 1) {
    const request = NetworkServiceRequest.fromPartial({ connection: { labels } });
    const onConnection = (line: Descriptors | undefined): void => {
      for (const { path } of files) send(line, path);
    };
    expect((await client.request(request, { ...limit(), onConnection })).labels).toEqual(labels);
  }
});

test('nothing stays open: not what was taken, doubled, unasked for, aborted or refused', async () => {
  const [wanted, other] = [makeFile('wanted'), makeFile('other')];
  const before = descriptorsOpen();
  const client = await serve(async ({ connection }, { descriptors, signal: gone }) => {
    if (connection?.id === 'refused') throw new NsmError('conflict', 'no');
    const fd = await descriptors!.receive(
      connection?.id === 'never' ? 'inode://1/1' : wanted.inode,
      gone,
    );
    closeSync(fd);
    send(descriptors, other.path);
    return Connection.create();
  });
  const onConnection = (line: Descriptors | undefined): void => {
    for (const path of [wanted.path, wanted.path, other.path]) send(line, path);
  };
  for (let i = 0; i < 50; i += 1) {
    await client.request(about(''), { ...limit(), onConnection });
    await client.request(about('refused'), { ...limit(), onConnection }).catch(() => undefined);
    const giveUp = new AbortController();
    const aborted = client.request(about('never'), { signal: giveUp.signal, onConnection });
    setImmediate(() => giveUp.abort());
    await aborted.catch(() => undefined);
  }
  // The listener, and both ends of one connection with what nobody has taken from it yet.
  expect(descriptorsOpen()).toBeLessThan(before + 20);
  await listener?.close(0);
  transport.close();
  await until(() => descriptorsOpen() <= before);
});

test('a connection that ends wakes who waits for its descriptors', async () => {
  const failed = Promise.withResolvers<unknown>();
  const waiting = Promise.withResolvers<undefined>();
  const client = await serve(async (_request, { descriptors }) => {
    const received = descriptors!.receive('inode://1/1', signal);
    waiting.resolve(undefined);
    await received.catch(failed.resolve);
    return Connection.create();
  });
  const call = client.request(about(''), limit()).catch(() => undefined);
  await waiting.promise;
  await listener!.close(0);
  expect(await failed.promise).toMatchObject({ code: 'unavailable' });
  await call;
});

test('tells the namespace of the other end, each way', async () => {
  const { dev, ino } = statSync('/proc/self/ns/net', { bigint: true });
  const own = `inode://${dev}/${ino}`;
  const lives = (descriptors: Descriptors | undefined): boolean => {
    const fd = descriptors!.peerNetns();
    const same = isOpen(fd, own);
    closeSync(fd);
    return same;
  };
  const client = await serve(async (_request, { descriptors }) =>
    Connection.fromPartial({ id: String(lives(descriptors)) }),
  );
  let line: Descriptors | undefined;
  const onConnection = (each: Descriptors | undefined): void => void (line = each);
  expect((await client.request(about(''), { ...limit(), onConnection })).id).toBe('true');
  expect(lives(line)).toBe(true);
});

test('nothing is told of the peer of a connection that has ended', async () => {
  const client = await serve(async () => Connection.create());
  let line: Descriptors | undefined;
  await client.request(about(''), { ...limit(), onConnection: (each) => void (line = each) });
  transport.close();
  let told = '';
  await until(() => {
    try {
      closeSync(line!.peerNetns());
    } catch (err) {
      told = (err as Error).message;
    }
    return told !== '';
  });
  expect(told).toBe('the connection has ended');
});

test('a peer that says no word, or nonsense, does no harm', async () => {
  const client = await serve(async () => Connection.fromPartial({ id: 'well' }));
  const silent = createConnection(`${dir}/x.sock`);
  await connected(silent);
  const loud = createConnection(`${dir}/x.sock`);
  loud.on('error', () => undefined);
  loud.write('GET / HTTP/1.1\r\n\r\n');
  await connected(loud);
  expect((await client.request(about(''), limit())).id).toBe('well');
  silent.destroy();
  loud.destroy();
});

test('over TCP there are none', async () => {
  let seen: ServerContext | undefined;
  listener = await transport.serve('tcp://127.0.0.1:0', 's', [
    service(NetworkServiceDefinition, {
      request: async (_request, context) => {
        seen = context;
        return Connection.create();
      },
      close: async () => Empty.create(),
    }),
  ]);
  let line: unknown = 'not called';
  await transport
    .client(NetworkServiceDefinition, listener.url)
    .request(about(''), { ...limit(), onConnection: (descriptors) => void (line = descriptors) });
  expect([seen?.descriptors, line]).toEqual([undefined, undefined]);
});

const connected = (socket: Socket) =>
  new Promise((resolve) => void socket.once('connect', resolve));

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
