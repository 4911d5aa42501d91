// Peers that ask for much or are slow, with a good identity, until they are killed. Usage: node greedy-peers.ts KIND HOST PORT, with
// SPIFFE_ENDPOINT_SOCKET. Says `ready` once they are at it.
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { setPriority } from 'node:os';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { systemClock } from '@nsm/chain';
import { workloadSource } from '@nsm/identity';
import { MonitorConnectionDefinition, NetworkServiceDefinition } from '@nsm/proto';
import { createGrpcTransport } from '@nsm/rpc';

const [kind = '', host = '', port = ''] = process.argv.slice(2);
// Peers are elsewhere: what they do themselves shall cost those they ask nothing.
setPriority(19);

const identity = await workloadSource({
  dialer: createGrpcTransport(),
  url: process.env['SPIFFE_ENDPOINT_SOCKET'] ?? '',
  clock: systemClock,
  random: Math.random,
}).current();
const address = { host, port: Number(port) };
const ignore = (): void => undefined;

/** Makes something anew whenever it has ended, after a pause in ms. */
function again(make: () => { once(event: 'close', then: () => void): unknown }, ms: number): void {
  make().once('close', () => setTimeout(() => again(make, ms), ms));
}

function tls(): TLSSocket {
  return connectTls({
    ...address,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
    cert: identity.certificates.map(String).join(''),
    key: identity.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  }).on('error', ignore);
}

function session(begin: (session: ClientHttp2Session) => void): ClientHttp2Session {
  const made = connectHttp2(`https://${host}:${port}`, { createConnection: tls });
  return made.on('error', ignore).once('connect', () => begin(made));
}

const call = (on: ClientHttp2Session, path: string) =>
  on
    .request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    .on('error', ignore);
const request = `/${NetworkServiceDefinition.fullName}/Request`;
const monitor = `/${MonitorConnectionDefinition.fullName}/MonitorConnections`;

const kinds: Record<string, () => void> = {
  /** Half-open TLS: the first byte of a handshake, and no more. */
  'half-open': () => {
    for (let n = 0; n < 400; n += 1)
      again(() => {
        const socket = connectTcp(address, () => socket.write(Buffer.of(22)));
        return socket.on('error', ignore);
      }, 1_000);
  },
  /** A message of 100 bytes, one every 10 s. */
  slow: () => {
    const begin = (on: ClientHttp2Session): void => {
      for (let n = 0; n < 20; n += 1)
        again(() => {
          const stream = call(on, request);
          stream.write(Buffer.of(0, 0, 0, 0, 100));
          const timer = setInterval(() => stream.write(Buffer.of(0)), 10_000);
          return stream.once('close', () => clearInterval(timer)).resume();
        }, 100);
    };
    for (let n = 0; n < 10; n += 1) again(() => session(begin), 1_000);
  },
  /** Watches everything and reads nothing. */
  watchers: () => {
    const begin = (on: ClientHttp2Session): void => {
      for (let n = 0; n < 20; n += 1)
        again(() => {
          const stream = call(on, monitor);
          stream.end(Buffer.alloc(5));
          return stream;
        }, 1_000);
    };
    for (let n = 0; n < 10; n += 1) again(() => session(begin), 1_000);
  },
  /** Calls that are taken back at once, 2,000 a second on each of 5 connections. */
  resets: () => {
    const begin = (on: ClientHttp2Session): void => {
      const timer = setInterval(() => {
        for (let n = 0; n < 100 && !on.closed; n += 1)
          call(on, request).close(constants.NGHTTP2_CANCEL);
      }, 50);
      on.once('close', () => clearInterval(timer));
    };
    for (let n = 0; n < 5; n += 1) again(() => session(begin), 1_000);
  },
};

for (const name of kind === 'all' ? Object.keys(kinds) : [kind]) kinds[name]?.();
process.stdout.write('ready\n');
