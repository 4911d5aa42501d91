import type { X509Certificate } from 'node:crypto';
import type { ServerHttp2Session } from 'node:http2';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { NsmError } from './error.ts';
import type { Identity, IdentitySource, Peer } from './identity.ts';
import { contextOptions, peerOf } from './tls-peer.ts';
import { sessionOf, standsOn, type UnixStream } from './unix-stream.ts';

/** Credentials of a server that proves itself, asks its clients to, and changes its certificate while it serves. */
class MutualTls extends ServerCredentials {
  constructor(identity: Identity, handshakeTimeout: number) {
    super(
      { requestCert: true, rejectUnauthorized: true, handshakeTimeout },
      contextOptions(identity),
    );
  }

  renew(identity: Identity): void {
    this.updateSecureContextOptions(contextOptions(identity));
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** The TLS side of one server. */
export interface SecureServer {
  readonly credentials: ServerCredentials;
  /** Who is at the other end of the connection a call came on. @throws NsmError unauthenticated */
  peer(call: object): Peer;
  /** Makes TLS handshakes on streams; calls back with each socket that has one behind it. */
  handshakes(onSocket: (socket: TLSSocket) => void): (stream: UnixStream) => void;
  close(): void;
}

/** Waits for the identity to serve with. Who does not finish the handshake within `handshakeMs` is cut. */
export async function secureServer(
  source: IdentitySource,
  handshakeMs: number,
): Promise<SecureServer> {
  let identity = await source.current();
  let before = identity;
  const credentials = new MutualTls(identity, handshakeMs);
  const sessions = new Map<ServerHttp2Session, Peer | Error>();
  const tls = new Set<TlsServer>();
  const unfollow = source.onChange((now) => {
    before = identity;
    identity = now;
    credentials.renew(now);
    for (const server of tls) server.setSecureContext(contextOptions(now));
    // Our tokens shall match the certificate a client sees: new calls come on new connections, streams go on.
    for (const session of sessions.keys()) session.close();
  });
  const enter = (session: ServerHttp2Session): Peer | Error => {
    const certificate = (session.socket as TLSSocket).getX509Certificate();
    const shown = [identity, before].find(
      ({ certificates: [leaf] }) => leaf.fingerprint256 === certificate?.fingerprint256,
    );
    const peer = believed(session, identity, shown);
    sessions.set(session, peer);
    session.once('close', () => sessions.delete(session));
    // Its handshake was before the last renewal, its first call is after it.
    if (shown !== identity) session.close();
    return peer;
  };
  return {
    credentials,
    peer: (call) => {
      const session = sessionOf(call);
      const peer = session && (sessions.get(session) ?? enter(session));
      if (peer && !Error.isError(peer)) return peer;
      throw new NsmError(
        'unauthenticated',
        peer?.message ?? 'the connection of the call has ended',
      );
    },
    handshakes: (onSocket) => {
      const { server, handshake } = handshakes(identity, handshakeMs, onSocket);
      tls.add(server);
      return handshake;
    },
    close: unfollow,
  };
}

/** A TLS server that never listens: it is handed its connections. */
function handshakes(
  identity: Identity,
  handshakeTimeout: number,
  onSocket: (socket: TLSSocket) => void,
): { server: TlsServer; handshake: (stream: UnixStream) => void } {
  const server = createServer({
    ...contextOptions(identity),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout,
    ALPNProtocols: ['h2'],
  });
  // A socket does not tell what it stands on; what happens to it happens in the context it was made in.
  const below = new AsyncLocalStorage<UnixStream>();
  server.on('secureConnection', (socket) => {
    const stream = below.getStore();
    if (stream) standsOn(socket, stream);
    socket.on('error', () => undefined); // the session says so
    onSocket(socket);
  });
  return {
    server,
    handshake: (stream) => below.run(stream, () => void server.emit('connection', stream)),
  };
}

function believed(
  session: ServerHttp2Session,
  { bundles }: Identity,
  shown: Identity | undefined,
): Peer | Error {
  try {
    const chain = presented((session.socket as TLSSocket).getPeerX509Certificate());
    return { ...peerOf(chain, bundles), shown };
  } catch (err) {
    return err as Error;
  }
}

/** A certificate with those above it. */
function presented(leaf: X509Certificate | undefined): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let at = leaf; at && at !== chain.at(-1); at = at.issuerCertificate) chain.push(at);
  return chain;
}
