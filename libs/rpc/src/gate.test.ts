import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, constants } from 'node:http2';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  Connection,
  ConnectionEvent,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceRequest,
  Empty,
} from '@nsm/proto';
import { NsmError } from './error.ts';
import { createGate } from './gate.ts';
import { createGrpcTransport } from './grpc.ts';
import type { Peer } from './identity.ts';
import type { LimitName, Limits } from './limits.ts';
import { service, type Listener, type ServerContext, type Transport } from './transport.ts';

let folder: string;
let transport: Transport | undefined;
let listener: Listener | undefined;
let reached: LimitName[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gate-'));
  reached = [];
});
afterEach(async () => {
  await listener?.close(0);
  transport?.close();
  rmSync(folder, { recursive: true });
});

async function serve(limits: Partial<Limits>) {
  transport = createGrpcTransport(undefined, { limits, onLimit: (limit) => reached.push(limit) });
  listener = await transport.serve(`unix://${folder}/s.sock`, 's', [
    service(NetworkServiceDefinition, {
      request: async ({ connection }) => connection ?? Connection.create(),
      close: async () => Empty.create(),
    }),
  ]);
  return transport.client(NetworkServiceDefinition, listener.url);
}
const requestOf = (text: string): NetworkServiceRequest =>
  NetworkServiceRequest.fromPartial({ connection: { id: text } });

describe('a server', () => {
  test('refuses a message that is too large, and takes the largest one', async () => {
    const client = await serve({ messageBytes: 1_000 });
    expect((await client.request(requestOf('x'.repeat(900)))).id).toHaveLength(900);
    await expect(client.request(requestOf('x'.repeat(1_000)))).rejects.toMatchObject({
      code: 'exhausted',
    });
    expect(reached).toEqual(['message']);
  });

  test('refuses headers that are too large', async () => {
    const client = await serve({ metadataBytes: 2_000 });
    await client.request(requestOf('a'), { headers: { more: 'x'.repeat(1_000) } });
    await expect(
      client.request(requestOf('a'), { headers: { more: 'x'.repeat(2_000) } }),
    ).rejects.toMatchObject({ code: 'exhausted', message: expect.stringContaining('2000') });
    expect(reached).toEqual(['metadata']);
  });

  test('ends a call whose message does not come', async () => {
    await serve({ halfOpenMs: 50 });
    const session = connect('http://s', {
      createConnection: () => createConnection(`${folder}/s.sock`),
    });
    const call = session.request({
      ':method': 'POST',
      ':path': '/networkservice.NetworkService/Request',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.write(Buffer.of(0, 0, 0, 0, 100)); // 100 bytes are announced
    const ended = await new Promise<object>((resolve) => {
      call.on('response', (headers) => 'grpc-status' in headers && resolve(headers));
      call.on('trailers', (headers: object) => resolve(headers));
      call.resume();
    });
    expect(ended).toMatchObject({ 'grpc-status': '8' });
    expect(reached).toEqual(['half-open']);
    session.destroy();
  });

  test('cuts a connection that takes back its calls before it has said what they are, and no other one', async () => {
    const client = await serve({ takenBack: 10 });
    const session = connect('http://s', {
      createConnection: () => createConnection(`${folder}/s.sock`),
    });
    session.on('error', () => undefined);
    await new Promise((resolve) => session.once('connect', resolve));
    const closed = new Promise((resolve) => session.once('close', resolve));
    const takeBack = (): Promise<unknown> => {
      const call = session.request({
        ':method': 'POST',
        ':path': `/${NetworkServiceDefinition.fullName}/Request`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      call.on('error', () => undefined).close(constants.NGHTTP2_CANCEL);
      return new Promise((resolve) => call.once('close', resolve));
    };
    for (let n = 0; n < 10; n += 1) await takeBack();
    expect((await client.request(requestOf('a'))).id).toBe('a');
    expect([session.closed, reached]).toEqual([false, []]);
    await Promise.all([takeBack(), takeBack(), closed]);
    expect(reached).toEqual(['taken-back']);
    expect((await client.request(requestOf('b'))).id).toBe('b');
  });

  test('closes a connection without calls', async () => {
    await serve({ idleMs: 50 });
    const session = connect('http://s', {
      createConnection: () => createConnection(`${folder}/s.sock`),
    });
    await new Promise((resolve) => session.on('close', resolve));
    expect(session.destroyed).toBe(true);
    // It hears of that as well.
    while (reached.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(reached).toEqual(['idle']);
  });

  test('resets a stream whose reader takes nothing', async () => {
    transport = createGrpcTransport(undefined, {
      limits: { unreadMs: 100 },
      onLimit: (limit) => reached.push(limit),
    });
    const ended = Promise.withResolvers<undefined>();
    listener = await transport.serve(`unix://${folder}/s.sock`, 's', [
      service(MonitorConnectionDefinition, {
        monitorConnections: async function* () {
          try {
            for (;;)
              yield ConnectionEvent.fromPartial({ connections: { ['x'.repeat(1_000)]: {} } });
          } finally {
            ended.resolve(undefined);
          }
        },
      }),
    ]);
    const session = connect('http://s', {
      createConnection: () => createConnection(`${folder}/s.sock`),
    });
    const call = session.request({
      ':method': 'POST',
      ':path': `/${MonitorConnectionDefinition.fullName}/MonitorConnections`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.end(Buffer.alloc(5)); // an empty message
    call.on('error', () => undefined);
    await new Promise((resolve) => call.once('close', resolve));
    expect(call.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await ended.promise;
    expect(reached).toEqual(['unread']);
    session.destroy();
  });

  test('tells of limits that its handlers keep', async () => {
    transport = createGrpcTransport(undefined, { onLimit: (limit) => reached.push(limit) });
    listener = await transport.serve(`unix://${folder}/s.sock`, 's', [
      service(NetworkServiceDefinition, {
        request: async () => {
          throw new NsmError('exhausted', 'too long', { limit: 'path' });
        },
        close: async () => {
          throw new NsmError('exhausted', 'no address is left');
        },
      }),
    ]);
    const client = transport.client(NetworkServiceDefinition, listener.url);
    await expect(client.request(requestOf('a'))).rejects.toMatchObject({ code: 'exhausted' });
    await expect(client.close(Connection.create())).rejects.toMatchObject({ code: 'exhausted' });
    expect(reached).toEqual(['path']);
  });
});

describe('an identity', () => {
  const contextOf = (spiffeId: string | undefined): ServerContext => ({
    signal: new AbortController().signal,
    deadline: undefined,
    descriptors: undefined,
    peer: spiffeId === undefined ? undefined : ({ spiffeId } as Peer),
    header: () => undefined,
    reply: () => undefined,
  });

  test('has no more calls at a time than allowed, whatever others do', async () => {
    const gate = createGate({
      limits: { pendingPerIdentity: 2 },
      onLimit: (limit) => reached.push(limit),
    });
    const { promise, resolve } = Promise.withResolvers<Connection>();
    const { handlers } = gate.guard(
      service(NetworkServiceDefinition, {
        request: () => promise,
        close: async () => Empty.create(),
      }),
    );
    const ask = (id: string | undefined): Promise<unknown> =>
      handlers['request']!(requestOf('a'), contextOf(id)) as Promise<unknown>;
    const open = [ask('a'), ask('a'), ask('b'), ask(undefined), ask(undefined), ask(undefined)];
    await expect(ask('a')).rejects.toMatchObject({ code: 'exhausted' });
    expect(reached).toEqual(['pending']);
    resolve(Connection.create());
    await Promise.all([...open]);
    await ask('a');
  });

  test('has no more streams than allowed, and one more when one has ended', async () => {
    const gate = createGate({
      limits: { streamsPerIdentity: 1 },
      onLimit: (limit) => reached.push(limit),
    });
    const { handlers } = gate.guard(
      service(MonitorConnectionDefinition, {
        monitorConnections: async function* () {
          yield ConnectionEvent.create();
        },
      }),
    );
    const open = (): AsyncIterator<unknown> =>
      (
        handlers['monitorConnections']!(
          MonitorScopeSelector.create(),
          contextOf('a'),
        ) as AsyncIterable<unknown>
      )[Symbol.asyncIterator]();
    const first = open();
    await first.next();
    await expect(open().next()).rejects.toMatchObject({ code: 'exhausted' });
    expect(reached).toEqual(['streams']);
    await first.return?.();
    expect(await open().next()).toMatchObject({ done: false });
  });
});

test('a unix socket is open to all users, or to whom its mode says', async () => {
  transport = createGrpcTransport();
  const modeOf = (name: string): number => statSync(join(folder, name)).mode & 0o777;
  listener = await transport.serve(`unix://${folder}/all`, 's', []);
  const mine = await transport.serve(`unix://${folder}/mine`, 's', [], { mode: 0o600 });
  expect([modeOf('all'), modeOf('mine')]).toEqual([0o777, 0o600]);
  await mine.close(0);
});
