import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');

/** A request of server reflection in a gRPC frame: list_services (field 7) "". */
const LIST_SERVICES = Buffer.from([0, 0, 0, 0, 2, 0x3a, 0]);

test('a program as it is shipped loads what answers reflection', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const url = `unix://${folder}/registry.sock`;
  const registry = spawn(join(root, 'dist/bin/registry'), {
    env: { PATH: process.env['PATH'], NSM_INSECURE: 'true', NSM_LISTEN_ON: url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    for await (const line of createInterface(registry.stdout)) if (line.includes('"ready"')) break;
    const session = connect('http://registry', {
      createConnection: () => netConnect(`${folder}/registry.sock`),
    });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const trailers = once(stream, 'trailers') as Promise<[IncomingHttpHeaders]>;
    stream.end(LIST_SERVICES);
    const told = (await buffer(stream)).toString('latin1');
    expect(told).toContain('registry.NetworkServiceEndpointRegistry');
    expect((await trailers)[0]['grpc-status']).toBe('0');
    session.close();
  } finally {
    const ended = once(registry, 'exit');
    registry.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true });
  }
});
