import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  Connection,
  ConnectionEvent,
  Empty,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceRequest,
} from '@nsm/proto';
import { createGrpcTransport } from './grpc.ts';
import { service, type Listener, type Transport } from './transport.ts';

/** The network between a caller and a machine, which may vanish: nothing passes then, and nothing is closed. */
interface Network {
  readonly url: string;
  vanish(): void;
  comeBack(): void;
  close(): void;
}

async function network(to: string): Promise<Network> {
  const [, port = ''] = /:(\d+)$/.exec(to) ?? [];
  const sockets = new Set<Socket>();
  let gone = false;
  const server: Server = createServer((from) => {
    const onward = createConnection(Number(port), '127.0.0.1');
    for (const [one, other] of [
      [from, onward],
      [onward, from],
    ] as const) {
      sockets.add(one);
      one.on('data', (data) => gone || other.write(data));
      one.on('close', () => gone || other.destroy());
      one.on('error', () => undefined);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `tcp://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    vanish: () => (gone = true),
    comeBack: () => (gone = false),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

let transport: Transport;
let listener: Listener;
let between: Network;

beforeEach(async () => {
  transport = createGrpcTransport();
  listener = await transport.serve('tcp://127.0.0.1:0', 'far', [
    service(NetworkServiceDefinition, {
      request: async ({ connection }) =>
        connection?.id === 'slow' ? new Promise(() => undefined) : Connection.create(connection),
      close: async () => Empty.create(),
    }),
    service(MonitorConnectionDefinition, {
      monitorConnections: async function* (_selector, { signal }) {
        yield ConnectionEvent.create();
        await once(signal, 'abort');
      },
    }),
  ]);
  between = await network(listener.url);
});
afterEach(async () => {
  transport.close();
  between.close();
  await listener.close(0);
});

const request = (id: string) =>
  transport
    .client(NetworkServiceDefinition, between.url)
    .request(NetworkServiceRequest.fromPartial({ connection: { id } }));

/** Reads a monitor stream to its end; `told` resolves with its first event. */
function monitor(keepalive: boolean) {
  const told = Promise.withResolvers<undefined>();
  const events: ConnectionEvent[] = [];
  const read = async (): Promise<void> => {
    const stream = transport
      .client(MonitorConnectionDefinition, between.url)
      .monitorConnections(MonitorScopeSelector.create(), { keepalive });
    for await (const event of stream) {
      events.push(event);
      told.resolve(undefined);
    }
  };
  return { told: told.promise, ended: read(), events };
}

test('a machine that vanishes ends streams and calls to it, and is found again when it is back', async () => {
  const { told, ended, events } = monitor(true);
  await told;
  const waiting = request('slow');
  // Passes while nothing is said but beats.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await request('quick');
  between.vanish();
  await expect(ended).rejects.toMatchObject({ code: 'unavailable', retry: true });
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  await expect(request('quick')).rejects.toMatchObject({ code: 'unavailable' });
  between.comeBack();
  // Who listens for its return finds it, and then all do.
  const again = monitor(true);
  await again.told;
  expect(await request('quick')).toMatchObject({ id: 'quick' });
  again.ended.catch(() => undefined); // it goes on until all is taken down
  // Beats are not told.
  expect(events).toHaveLength(1);
}, 20_000);

test('without keepalive nobody asks for beats, and silence ends nothing', async () => {
  const { told, ended } = monitor(false);
  await told;
  between.vanish();
  const first = await Promise.race([
    ended.catch(() => 'ended'),
    new Promise((resolve) => setTimeout(resolve, 1_500, 'goes on')),
  ]);
  expect(first).toBe('goes on');
});
