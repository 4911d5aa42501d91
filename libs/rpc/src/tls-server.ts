import type { X509Certificate } from 'node:crypto';
import { constants, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { acceptedOf, sessionOf, type Accepted } from './accepted.ts';
import { NsmError } from './error.ts';
import type { Gate } from './gate.ts';
import { createHandshakes, type Handshakes } from './handshakes.ts';
import type { Identity, IdentitySource, Peer } from './identity.ts';
import { peerOf, spiffeIdOf } from './tls-peer.ts';

/** How long a call may be on its way to a server that asks for another connection, in ms. */
const ON_THE_WAY_MS = 1_000;

/** The TLS side of one server: it proves itself, asks its clients to, and changes its certificate while it serves. */
export interface SecureServer {
  /** Who is at the other end of the connection a call came on. @throws NsmError unauthenticated, exhausted */
  peer(call: object): Peer;
  /** Makes TLS handshakes on connections; calls back with each socket that has one behind it. */
  handshakes(onSocket: (socket: TLSSocket) => void): (accepted: Accepted) => void;
  close(): void;
}

/** Waits for the identity to serve with. */
export async function secureServer(source: IdentitySource, gate: Gate): Promise<SecureServer> {
  let identity = await source.current();
  let before = identity;
  const sessions = new Map<ServerHttp2Session, Peer | Error>();
  const all = new Set<Handshakes>();
  const unfollow = source.onChange((now) => {
    before = identity;
    identity = now;
    for (const handshakes of all) handshakes.renew(now);
    // Our tokens shall match the certificate a client sees: new calls come on new connections, streams go on.
    for (const session of sessions.keys()) drain(session);
  });
  const enter = (session: ServerHttp2Session): Peer | Error => {
    const certificate = (session.socket as TLSSocket).getX509Certificate();
    const shown = [identity, before].find(
      ({ certificates: [leaf] }) => leaf.fingerprint256 === certificate?.fingerprint256,
    );
    const refusal = acceptedOf(session)?.refusal;
    const peer = refusal ?? believed(session, identity, shown);
    sessions.set(session, peer);
    session.once('close', () => sessions.delete(session));
    // Its handshake was before the last renewal, its first call is after it; or it is one too many.
    if (shown !== identity || refusal) drain(session);
    return peer;
  };
  return {
    peer: (call) => {
      const session = sessionOf(call);
      const peer = session && (sessions.get(session) ?? enter(session));
      if (peer && !Error.isError(peer)) return peer;
      if (peer instanceof NsmError) throw peer;
      throw new NsmError(
        'unauthenticated',
        peer?.message ?? 'the connection of the call has ended',
      );
    },
    handshakes: (onSocket) => {
      const handshakes = createHandshakes(identity, gate, (socket, accepted) => {
        const leaf = socket.getPeerX509Certificate();
        gate.connections.proven(accepted, socket, leaf ? idOf(leaf) : '');
        onSocket(socket);
      });
      all.add(handshakes);
      return (accepted) => handshakes.begin(accepted);
    },
    close: unfollow,
  };
}

/**
 * Sends the client to another connection for its next calls. Those that are on their way are still taken (RFC 9113, section 6.8): to
 * be sent again elsewhere would part them from the descriptors that went ahead of them.
 */
function drain(session: ServerHttp2Session): void {
  if (session.closed || session.destroyed) return;
  session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
  setTimeout(() => session.close(), ON_THE_WAY_MS).unref();
}

/** Whose connection it counts as; one that is no identity's is refused with its calls. */
function idOf(leaf: X509Certificate): string {
  try {
    return spiffeIdOf(leaf);
  } catch {
    return '';
  }
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
