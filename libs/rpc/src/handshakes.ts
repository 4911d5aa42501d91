import { AsyncLocalStorage } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import { createServer, type TLSSocket } from 'node:tls';
import type { Accepted } from './accepted.ts';
import type { Gate } from './gate.ts';
import type { Identity } from './identity.ts';
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
    handshakeTimeout: limits.halfOpenMs,
    ALPNProtocols: ['h2'],
  });
  const underWay = new Set<Duplex>();
  // A socket does not tell what it stands on; what happens to it happens in the context it was made in.
  const below = new AsyncLocalStorage<Accepted>();
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined); // the session says so
    const accepted = below.getStore();
    if (!accepted) throw new Error('a handshake has ended that never began');
    underWay.delete(accepted.stream);
    onSocket(socket, accepted);
  });
  server.on('tlsClientError', ({ code }: Error & { code?: string }, socket) => {
    // Of a handshake that takes too long Node tells, and leaves it as it is.
    if (code !== 'ERR_TLS_HANDSHAKE_TIMEOUT') return;
    onLimit('half-open', undefined);
    socket.destroy();
  });
  return {
    begin: (accepted) => {
      const { stream } = accepted;
      underWay.add(stream);
      stream.once('close', () => underWay.delete(stream));
      const [oldest] = underWay;
      if (oldest && underWay.size > limits.halfOpen) {
        underWay.delete(oldest);
        oldest.destroy();
        onLimit('half-open', undefined);
      }
      below.run(accepted, () => void server.emit('connection', stream));
    },
    renew: (now) => server.setSecureContext(contextOptions(now)),
  };
}
