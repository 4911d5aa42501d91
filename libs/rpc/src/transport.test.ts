import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  Connection,
  ConnectionEvent,
  ConnectionEventType,
  Empty,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceRequest,
} from '@nsm/proto';
import { createChannel, createClient } from 'nice-grpc';
import { NsmError } from './error.ts';
import { createGrpcTransport } from './grpc.ts';
import { createMemoryTransport } from './memory.ts';
import type { reflection } from './reflection.ts';
import { reflectionDefinitions } from './reflection.ts';
import type { Client, Implementation, Listener, ServerContext, Transport } from './transport.ts';
import { service } from './transport.ts';

type Api = Implementation<typeof NetworkServiceDefinition>;

const kinds: [string, () => Transport, (dir: string) => string][] = [
  ['gRPC over a unix socket', createGrpcTransport, (dir) => `unix://${dir}/sub/x.sock`],
  ['gRPC over TCP', createGrpcTransport, () => 'tcp://127.0.0.1:0'],
  ['memory', createMemoryTransport, () => 'tcp://server:1'],
];

describe.each(kinds)('%s', (_name, create, urlIn) => {
  let dir: string;
  let transport: Transport;
  let listener: Listener | undefined;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'rpc-'));
    transport = create();
  });
  afterEach(async () => {
    await listener?.close(0);
    transport.close();
    rmSync(dir, { recursive: true });
  });

  const serve = async (
    request: Api['request'],
    monitor?: () => AsyncIterable<ConnectionEvent>,
  ): Promise<Client<typeof NetworkServiceDefinition>> => {
    const services = [
      service(NetworkServiceDefinition, { request, close: async () => Empty.create() }),
    ];
    if (monitor)
      services.push(service(MonitorConnectionDefinition, { monitorConnections: monitor }));
    listener = await transport.serve(urlIn(dir), 'server-1', services);
    return transport.client(NetworkServiceDefinition, listener.url);
  };
  const hello = NetworkServiceRequest.fromPartial({
    connection: { id: 'a', labels: { app: 'x' } },
  });

  test('takes a deadline that is no whole number of milliseconds', async () => {
    const client = await serve(async ({ connection }) => connection!);
    const deadline = Date.now() + 5_000.75;
    expect((await client.request(hello, { deadline })).id).toBe('a');
  });

  test('carries messages, headers both ways and the deadline', async () => {
    let seen: ServerContext | undefined;
    const client = await serve(async (request, context) => {
      seen = context;
      context.reply('path', 'there');
      return Connection.fromPartial({ ...request.connection, networkService: 'svc' });
    });
    const deadline = Date.now() + 5_000;
    let header: string | undefined;
    const answer = await client.request(hello, {
      deadline,
      headers: { 'nsm-client-token': 'tok' },
      onHeaders: (get) => (header = get('path')),
    });
    expect(answer.labels).toEqual({ app: 'x' });
    expect(answer.networkService).toBe('svc');
    expect(header).toBe('there');
    expect(seen?.header('nsm-client-token')).toBe('tok');
    expect(Math.abs((seen?.deadline ?? 0) - deadline)).toBeLessThan(1_000);
  });

  test('a failure keeps its code, text, origin and remedy', async () => {
    const client = await serve(() =>
      Promise.reject(
        new NsmError('exhausted', 'IPPool is empty', { element: 'ipam', hint: 'add a prefix' }),
      ),
    );
    await expect(client.request(hello)).rejects.toMatchObject({
      code: 'exhausted',
      message: 'IPPool is empty',
      hop: 'server-1',
      element: 'ipam',
      hint: 'add a prefix',
    });
  });

  test('a defect is told as internal and the server goes on', async () => {
    let calls = 0;
    const client = await serve(() =>
      ++calls === 1 ? Promise.reject(new TypeError('oops')) : Promise.resolve(Connection.create()),
    );
    await expect(client.request(hello)).rejects.toMatchObject({
      code: 'internal',
      message: 'oops',
    });
    await expect(client.request(hello)).resolves.toBeDefined();
  });

  test('a caller that gives up aborts the handler', async () => {
    const aborted = Promise.withResolvers<undefined>();
    const entered = Promise.withResolvers<undefined>();
    const client = await serve((_request, { signal }) => {
      entered.resolve(undefined);
      signal.addEventListener('abort', () => aborted.resolve(undefined));
      return aborted.promise.then(() => Connection.create());
    });
    const controller = new AbortController();
    const call = client.request(hello, { signal: controller.signal });
    await entered.promise;
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await aborted.promise;
  });

  test('a passed deadline is a deadline', async () => {
    const client = await serve(
      (_request, { signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('late'))),
        ),
    );
    await expect(client.request(hello, { deadline: Date.now() + 30 })).rejects.toMatchObject({
      code: 'deadline',
    });
  });

  test('a stream delivers in order and ends when its reader leaves', async () => {
    const ended = Promise.withResolvers<undefined>();
    await serve(
      async () => Connection.create(),
      async function* () {
        try {
          for (let i = 0; ; i += 1) {
            yield ConnectionEvent.fromPartial({
              type: ConnectionEventType.UPDATE,
              connections: { [String(i)]: {} },
            });
            await new Promise(setImmediate);
          }
        } finally {
          ended.resolve(undefined);
        }
      },
    );
    const monitor = transport.client(MonitorConnectionDefinition, listener!.url);
    const keys: string[] = [];
    for await (const event of monitor.monitorConnections(MonitorScopeSelector.create())) {
      keys.push(...Object.keys(event.connections));
      if (keys.length === 3) break;
    }
    expect(keys).toEqual(['0', '1', '2']);
    await ended.promise;
  });

  test('a listener that closes cuts what is still open after its grace', async () => {
    await serve(
      async () => Connection.create(),
      async function* () {
        yield ConnectionEvent.create();
        // For ever, even when the reader has gone.
        await new Promise(() => undefined);
      },
    );
    const monitor = transport.client(MonitorConnectionDefinition, listener!.url);
    const events = monitor.monitorConnections(MonitorScopeSelector.create());
    const iterator = events[Symbol.asyncIterator]();
    await iterator.next();
    const cut = iterator.next();
    await Promise.all([
      listener!.close(10),
      expect(cut).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|cancelled/) }),
    ]);
  });

  test('a peer that is not there is unavailable', async () => {
    const url = urlIn(dir).replace(/:0$/, ':1');
    await expect(
      transport.client(NetworkServiceDefinition, url).request(hello),
    ).rejects.toMatchObject({ code: 'unavailable' });
  });
});

test('bytes that are no message are refused as an invalid argument', async () => {
  const transport = createGrpcTransport();
  const listener = await transport.serve('tcp://127.0.0.1:0', 's', [
    service(NetworkServiceDefinition, {
      request: async () => Connection.create(),
      close: async () => Empty.create(),
    }),
  ]);
  const garbage = {
    encode: () => ({ finish: () => Buffer.from([0x0a, 0xff, 0xff]) }),
    decode: (bytes: Uint8Array) => bytes,
  };
  const broken = {
    ...NetworkServiceDefinition,
    methods: {
      ...NetworkServiceDefinition.methods,
      request: { ...NetworkServiceDefinition.methods.request, requestType: garbage },
    },
  };
  await expect(
    transport.client(broken, listener.url).request(Buffer.alloc(0)),
  ).rejects.toMatchObject({ code: 'invalid-argument' });
  await listener.close(0);
  transport.close();
});

test('a stale socket file is replaced, any other file is left alone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'rpc-'));
  const url = `unix://${dir}/x.sock`;
  const transport = createGrpcTransport();
  const first = await transport.serve(url, 's', []);
  const second = await transport.serve(url, 's', []);
  await new Promise<void>((resolve, reject) =>
    createConnection(`${dir}/x.sock`)
      .on('connect', function (this: { destroy(): void }) {
        this.destroy();
        resolve();
      })
      .on('error', reject),
  );
  await expect(transport.serve(`unix://${dir}`, 's', [])).rejects.toMatchObject({
    code: 'invalid-argument',
  });
  await first.close(0);
  await second.close(0);
  rmSync(dir, { recursive: true });
});

test('reflection tells the services, with their messages', async () => {
  const transport = createGrpcTransport();
  const listener = await transport.serve('tcp://127.0.0.1:0', 's', [
    service(NetworkServiceDefinition, {
      request: async () => Connection.create(),
      close: async () => Empty.create(),
    }),
  ]);
  const channel = createChannel(listener.url.replace('tcp://', ''));
  /** list_services (field 7): "" */
  const ask = async function* () {
    yield Buffer.from([0x3a, 0]);
  };
  for (const version of reflectionDefinitions) {
    const client = createClient(version, channel) as unknown as ReturnType<typeof reflection>;
    const told: string[] = [];
    for await (const response of client.serverReflectionInfo(ask(), {} as never))
      told.push(Buffer.from(response).toString('latin1'));
    expect(told).toEqual([expect.stringContaining('networkservice.NetworkService')]);
  }
  channel.close();
  await listener.close(0);
  transport.close();
});
