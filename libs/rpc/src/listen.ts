import { once } from 'node:events';
import { createServer, type Server as NetServer } from 'node:net';
import { finished } from 'node:stream/promises';
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import type { SecureServer } from './tls-server.ts';
import { takeOver, type UnixStream } from './unix-stream.ts';
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

/** Makes a server listen on a URL: over TCP by itself, on a unix socket through streams of ours, which bring descriptors. */
export async function listen(
  server: Server,
  url: string,
  { secure, mode }: { secure: SecureServer | undefined; mode: number | undefined },
): Promise<Listening> {
  const target = targetOf(url);
  const socket = await prepareSocket(url, mode);
  if (!url.startsWith('unix://')) {
    const credentials = secure?.credentials ?? ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(target, credentials, (err, bound) => (err ? reject(err) : resolve(bound)));
    });
    return { url: await socket.bound(port), close: async () => undefined, cut: () => undefined };
  }
  const streams = new Set<UnixStream>();
  const listener = unixListener(server, streams, secure);
  listener.listen(target.slice('unix:'.length));
  await once(listener, 'listening');
  return {
    url: await socket.bound(0),
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

function unixListener(
  server: Server,
  streams: Set<UnixStream>,
  secure: SecureServer | undefined,
): NetServer {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const handshake = secure?.handshakes((socket) => injector.injectConnection(socket));
  // Nothing may be read before the stream does: any other read loses descriptors.
  return createServer({ pauseOnConnect: true }, (socket) => {
    const stream = takeOver(socket);
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
    if (handshake) handshake(stream);
    else injector.injectConnection(stream);
  });
}
