import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import {
  createServer,
  type AddressInfo,
  type ListenOptions,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import type { Gate } from './gate.ts';
import type { SecureServer } from './tls-server.ts';
import { takeOver } from './unix-stream.ts';
import { prepareSocket, targetOf } from './url.ts';

/**
 * The machine at the other end of a TCP connection that is silent for this long is asked for a sign of life, in ms; after ten questions
 * of a second each it is gone. The library's own pings would cut what it is asked to close once its streams have ended.
 */
const SILENCE_MS = 30_000;

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
 * Makes a server listen on a URL; where its host is a name, on all addresses of it that this machine has. Connections are ours before
 * they are the library's: limits are kept from their first byte on, and those of unix sockets go through streams of ours, which bring
 * descriptors.
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
  const unix = target.startsWith('unix:');
  const socket = await prepareSocket(url, mode);
  const streams = new Set<Duplex>();
  const accept = accepting(server, streams, { secure, gate, unix });
  const options = {
    // Nothing may be read of a unix socket before its stream does: any other read loses descriptors.
    pauseOnConnect: unix,
    noDelay: !unix,
    keepAlive: !unix,
    keepAliveInitialDelay: SILENCE_MS,
  };
  const { listeners, port } = await bindAll(await addressesOf(target), () =>
    createServer(options, accept),
  );
  return {
    url: await socket.bound(port),
    close: () => {
      for (const listener of listeners) listener.close();
      // The library does not wait for connections that it was handed.
      return Promise.all([...streams].map((stream) => finished(stream).catch(() => undefined)));
    },
    cut: () => {
      for (const stream of streams) stream.destroy();
    },
  };
}

/** @param target host:port, [v6]:port or unix:/path */
async function addressesOf(target: string): Promise<ListenOptions[]> {
  if (target.startsWith('unix:')) return [{ path: target.slice('unix:'.length) }];
  const at = target.lastIndexOf(':');
  const host = target.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const port = Number(target.slice(at + 1));
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))].map((each) => ({ host: each, port }));
}

/** Listens on those addresses that are here, all with the port that the first one was given. @throws when none is, or one is in use */
async function bindAll(
  addresses: readonly ListenOptions[],
  make: () => NetServer,
): Promise<{ listeners: readonly NetServer[]; port: number }> {
  const listeners: NetServer[] = [];
  let port = 0;
  let missing: unknown;
  for (const address of addresses) {
    const listener = make();
    try {
      listener.listen(address.port === 0 ? { ...address, port } : address);
      await once(listener, 'listening');
    } catch (err) {
      missing = err;
      if (isElsewhere(err)) continue;
      for (const each of listeners) each.close();
      throw err;
    }
    // One connection that cannot be accepted is no fault of the others.
    listener.on('error', () => undefined);
    listeners.push(listener);
    const bound = listener.address() as AddressInfo | string;
    if (typeof bound !== 'string') ({ port } = bound);
  }
  if (listeners.length === 0) throw missing;
  return { listeners, port };
}

/** A name may have addresses that this machine has not, as ::1 where it has no IPv6. */
const isElsewhere = (err: unknown): boolean =>
  ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((err as NodeJS.ErrnoException).code ?? '');

/** What is done with each connection. */
function accepting(
  server: Server,
  streams: Set<Duplex>,
  { secure, gate, unix }: { secure: SecureServer | undefined; gate: Gate; unix: boolean },
): (socket: Socket) => void {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const handshake = secure?.handshakes((socket) => injector.injectConnection(socket));
  return (socket) => {
    const stream = unix ? takeOver(socket) : socket;
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
    const accepted = gate.connections.accept(stream);
    if (handshake) handshake(accepted);
    else injector.injectConnection(stream);
  };
}
