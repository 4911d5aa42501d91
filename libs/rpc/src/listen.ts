import { once } from 'node:events';
import {
  createServer,
  type AddressInfo,
  type ListenOptions,
  type Server as NetServer,
} from 'node:net';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import type { Gate } from './gate.ts';
import type { SecureServer } from './tls-server.ts';
import { takeOver } from './unix-stream.ts';
import { prepareSocket, targetOf } from './url.ts';

/** Where a server listens. */
export interface Listening {
  /** A port 0 has become the real one. */
  readonly url: string;
  /** Takes no new connections; resolves when those there are have ended. */
  close(): Promise<unknown>;
  /** Ends them. */
  cut(): void;
}

/**
 * Makes a server listen on a URL. Connections are ours before they are the library's: limits are kept from their first byte on, and
 * those of unix sockets go through streams of ours, which bring descriptors.
 */
export async function listen(
  server: Server,
  url: string,
  {
    secure,
    gate,
    mode,
  }: { secure: SecureServer | undefined; gate: Gate; mode: number | undefined },
): Promise<Listening> {
  const target = targetOf(url);
  const socket = await prepareSocket(url, mode);
  const streams = new Set<Duplex>();
  const listener = listenerOf(server, streams, { secure, gate, unix: target.startsWith('unix:') });
  listener.listen(addressOf(target));
  await once(listener, 'listening');
  // One connection that cannot be accepted is no fault of the others.
  listener.on('error', () => undefined);
  const address = listener.address() as AddressInfo | string;
  return {
    url: await socket.bound(typeof address === 'string' ? 0 : address.port),
    close: () => {
      listener.close();
      // The library does not wait for connections that it was handed.
      return Promise.all([...streams].map((stream) => finished(stream).catch(() => undefined)));
    },
    cut: () => {
      for (const stream of streams) stream.destroy();
    },
  };
}

/** @param target host:port, [v6]:port or unix:/path */
function addressOf(target: string): ListenOptions {
  if (target.startsWith('unix:')) return { path: target.slice('unix:'.length) };
  const at = target.lastIndexOf(':');
  const host = target.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(target.slice(at + 1)) };
}

function listenerOf(
  server: Server,
  streams: Set<Duplex>,
  { secure, gate, unix }: { secure: SecureServer | undefined; gate: Gate; unix: boolean },
): NetServer {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const handshake = secure?.handshakes((socket) => injector.injectConnection(socket));
  // Nothing may be read of a unix socket before the stream does: any other read loses descriptors.
  return createServer({ pauseOnConnect: unix, noDelay: !unix }, (socket) => {
    const stream = unix ? takeOver(socket) : socket;
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
    const accepted = gate.connections.accept(stream);
    if (handshake) handshake(accepted);
    else injector.injectConnection(stream);
  });
}
