import type { KeyObject, X509Certificate } from 'node:crypto';

/** What a process proves itself with and whom it believes: an X.509-SVID and the trust bundles that came with it. */
export interface Identity {
  /** spiffe://trust-domain/path, the one URI among the names of its leaf certificate. */
  readonly spiffeId: string;
  /** The leaf, then the intermediates. */
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]];
  readonly privateKey: KeyObject;
  /** CA certificates by trust domain: the own one and the federated ones. */
  readonly bundles: ReadonlyMap<string, readonly X509Certificate[]>;
}

/** Where a process's identity comes from. It is replaced long before it ends. */
export interface IdentitySource {
  /** The newest identity that has not expired; waits where there is none. @throws NsmError unavailable once the signal is aborted */
  current(signal?: AbortSignal): Promise<Identity>;
  /** Calls back whenever `current` has become another one; answers how to stop that. */
  onChange(listener: (identity: Identity) => void): () => void;
  close(): void;
}

/** The other end of a connection, as its certificate proves it. */
export interface Peer {
  readonly spiffeId: string;
  readonly certificate: X509Certificate;
  /** When the certificate ends, in ms since 1970. */
  readonly notAfter: number;
  /** What this process has proven itself with on the connection. */
  readonly shown?: Identity | undefined;
  /** Who has answered later on the channel that this one answers on: a server with a new certificate. */
  readonly later?: () => readonly Peer[];
}
