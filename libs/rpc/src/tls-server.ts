import type { X509Certificate } from 'node:crypto';
import type { ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { NsmError } from './error.ts';
import type { Identity, IdentitySource, Peer } from './identity.ts';
import { contextOptions, peerOf } from './tls-peer.ts';

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
  /** A word for the connection a call came on, which `peer` understands. */
  connectionOf(call: object): string;
  /** Who is at the other end. @throws NsmError unauthenticated */
  peer(connection: string): Peer;
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
  const sessions = new Map<string, { session: ServerHttp2Session; peer: Peer | Error }>();
  const names = new WeakMap<ServerHttp2Session, string>();
  let next = 0;
  const unfollow = source.onChange((now) => {
    before = identity;
    identity = now;
    credentials.renew(now);
    // Our tokens shall match the certificate a client sees: new calls come on new connections, streams go on.
    for (const { session } of sessions.values()) session.close();
  });
  const enter = (session: ServerHttp2Session): string => {
    const name = String((next += 1));
    names.set(session, name);
    const certificate = (session.socket as TLSSocket).getX509Certificate();
    const shown = [identity, before].find(
      ({ certificates: [leaf] }) => leaf.fingerprint256 === certificate?.fingerprint256,
    );
    sessions.set(name, { session, peer: believed(session, identity, shown) });
    session.once('close', () => sessions.delete(name));
    // Its handshake was before the last renewal, its first call is after it.
    if (shown !== identity) session.close();
    return name;
  };
  return {
    credentials,
    connectionOf: (call) => {
      const session = sessionOf(call);
      return session ? (names.get(session) ?? enter(session)) : '';
    },
    peer: (connection) => {
      const peer = sessions.get(connection)?.peer;
      if (peer && !Error.isError(peer)) return peer;
      throw new NsmError(
        'unauthenticated',
        peer?.message ?? 'the connection of the call has ended',
      );
    },
    close: unfollow,
  };
}

/** What the library makes of a call, and interceptors wrap. */
interface LibraryCall {
  readonly stream?: { readonly session?: ServerHttp2Session };
  readonly nextCall?: LibraryCall;
}

/** The library tells a handler no more than the leaf certificate; its call holds the stream, and that the connection. */
const sessionOf = ({ stream, nextCall }: LibraryCall): ServerHttp2Session | undefined =>
  nextCall ? sessionOf(nextCall) : stream?.session;

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
