import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { takeOver, type UnixStream } from './unix-stream.ts';

let folder: string;
let server: Server;
let stream: UnixStream;
let other: Socket;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'unix-'));
  server = createServer().listen(join(folder, 's.sock'));
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = connect(join(folder, 's.sock'));
  await once(socket, 'connect');
  stream = takeOver(socket);
  [other] = await accepted;
});
afterEach(async () => {
  stream.destroy();
  other.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

test('the end of the other side ends the stream, and what is still written to it is no error of its own', async () => {
  const errors: unknown[] = [];
  stream.on('error', (error) => errors.push(error));
  // As HTTP/2 does, which says goodbye when it hears of the end.
  stream.once('end', () => stream.write('goodbye'));
  stream.resume();
  const closed = once(stream, 'close');
  other.destroy();
  await closed;
  expect(errors).toEqual([]);
});

test('what the other side does not take any more fails as a connection that was reset', async () => {
  const closed = once(stream, 'error') as Promise<[NodeJS.ErrnoException]>;
  const gone = once(other, 'close');
  other.destroy();
  await gone;
  stream.write('late');
  expect((await closed)[0].code).toBe('ECONNRESET');
});
