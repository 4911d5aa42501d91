import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createNetns, deleteNetns, duplicate, inNetns, netnsOf, peerNetns } from './index.ts';

const CLIENT = `require('node:net').connect(process.argv[1]).on('close', () => process.exit())`;

let folder: string;
let netns: string;
let server: Server;
let socket: Socket;
let client: ReturnType<typeof spawn>;

/** A process in a namespace of its own is connected to us. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'peer-'));
  netns = join(folder, 'ns');
  createNetns(netns);
  server = createServer().listen(join(folder, 'x.sock'));
  await once(server, 'listening');
  client = inNetns(netns, () => spawn(process.execPath, ['-e', CLIENT, join(folder, 'x.sock')]));
  [socket] = (await once(server, 'connection')) as [Socket];
});
afterEach(async () => {
  socket.destroy();
  server.close();
  if (client.exitCode === null && client.signalCode === null) await once(client, 'exit');
  deleteNetns(netns);
  rmSync(folder, { recursive: true });
});

const fdOf = (of: Socket): number => (of as unknown as { _handle: { fd: number } })._handle.fd;
const found = (fd: number) => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  closeSync(fd);
  return { dev, ino };
};

describe.each(['pidfd', 'credentials'] as const)('the namespace of a peer, by %s', (by) => {
  test('is that of the process that connected', () => {
    expect(found(peerNetns(fdOf(socket), { by }))).toEqual(netnsOf(netns));
  });

  test('is not told once that process is gone', async () => {
    // Node closes its own when it hears of the end.
    const fd = duplicate(fdOf(socket));
    client.kill('SIGKILL');
    await once(client, 'exit');
    expect(() => peerNetns(fd, { by })).toThrow(/ESRCH|EINVAL/);
    closeSync(fd);
  });
});

test('a process that is younger than the connection is not its peer', () => {
  expect(() => peerNetns(fdOf(socket), { by: 'credentials', before: 1 })).toThrow('ESRCH');
});
