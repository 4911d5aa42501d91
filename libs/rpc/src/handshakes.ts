import { AsyncLocalStorage } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import { createServer, type TLSSocket } from 'node:tls';
import type { Accepted } from './accepted.ts';
import type { Gate } from './gate.ts';
import type { Identity } from './identity.ts';
import { spread } from './limits.ts';
import { contextOptions } from './tls-peer.ts';

/** Makes TLS handshakes on connections that have come. */
export interface Handshakes {
  begin(accepted: Accepted): void;
  /** Those that begin from now on are made with this. */
  renew(identity: Identity): void;
}

/**
 * A TLS server that never listens: it is handed its connections, and calls back with each socket that has one behind it. Who does not
 * finish a handshake in time is cut, and so is whoever has been at it for longest when there are too many: honest ones take some
 * milliseconds.
 */
export function createHandshakes(
  identity: Identity,
  { limits, onLimit }: Pick<Gate, 'limits' | 'onLimit'>,
  onSocket: (socket: TLSSocket, accepted: Accepted) => void,
): Handshakes {
  const server = createServer({
    ...contextOptions(identity),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
  });
  /** With what cuts them in time: of a handshake that takes too long Node would tell, and leave it as it is. */
  const underWay = new Map<Duplex, NodeJS.Timeout>();
  const leave = (stream: Duplex): void => {
    clearTimeout(underWay.get(stream));
    underWay.delete(stream);
  };
  const cut = (stream: Duplex): void => {
    leave(stream);
    stream.destroy();
    onLimit('half-open', undefined);
  };
  // A socket does not tell what it stands on; what happens to it happens in the context it was made in.
  const below = new AsyncLocalStorage<Accepted>();
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined); // the session says so
    const accepted = below.getStore();
    if (!accepted) return void socket.destroy();
    leave(accepted.stream);
    onSocket(socket, accepted);
  });
  return {
    begin: (accepted) => {
      const { stream } = accepted;
      underWay.set(stream, setTimeout(() => cut(stream), spread(limits.halfOpenMs)).unref());
      stream.once('close', () => leave(stream));
      const [oldest] = underWay.keys();
      if (oldest && underWay.size > limits.halfOpen) cut(oldest);
      below.run(accepted, () => void server.emit('connection', stream));
    },
    renew: (now) => server.setSecureContext(contextOptions(now)),
  };
}
