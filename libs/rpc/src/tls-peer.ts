import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, DetailedPeerCertificate } from 'node:tls';
import type { Identity, Peer } from './identity.ts';

/** Longest chain that is looked at. */
const MAX_CHAIN = 8;
/** SPIFFE-ID standard, section 2: at most 2,048 bytes, a trust domain of at most 255. */
const ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[a-zA-Z0-9._-]+)*)$/;

/** The trust domain of a SPIFFE id; undefined where it is none. */
export function trustDomainOf(id: string): string | undefined {
  if (id.length > 2_048) return undefined;
  const [, domain, path = ''] = ID.exec(id) ?? [];
  return /\/\.{1,2}(\/|$)/.test(path) ? undefined : domain;
}

/** The SPIFFE id of a leaf certificate (X509-SVID standard, sections 2 and 5). @throws Error says what is wrong with it */
export function spiffeIdOf(leaf: X509Certificate): string {
  if (leaf.ca) throw new Error('the certificate is that of an authority');
  const uris = (leaf.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'));
  const id = uris[0]?.slice('URI:'.length) ?? '';
  if (uris.length !== 1)
    throw new Error(`the certificate has ${uris.length} URI names, and must have one`);
  if (trustDomainOf(id) === undefined) throw new Error(`"${id}" is no SPIFFE id`);
  return id;
}

/**
 * Who presents a chain of certificates (contract 2.7): any SPIFFE id, provided that the chain ends at the bundle of its own
 * trust domain. Host names mean nothing. Dates, signatures and uses were checked by TLS against all bundles together.
 * @param chain the leaf first
 * @throws Error says why the peer is not believed
 */
export function peerOf(chain: readonly X509Certificate[], bundles: Identity['bundles']): Peer {
  const [leaf] = chain;
  if (!leaf) throw new Error('the peer has no certificate');
  const spiffeId = spiffeIdOf(leaf);
  const authorities = bundles.get(trustDomainOf(spiffeId) ?? '');
  if (!authorities) throw new Error(`${spiffeId} is of a trust domain that is not known here`);
  if (!endsAt(chain, authorities))
    throw new Error(`the certificate of ${spiffeId} is not from its trust domain`);
  return { spiffeId, certificate: leaf, notAfter: Date.parse(leaf.validTo) };
}

function endsAt(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  for (const [i, certificate] of chain.slice(0, MAX_CHAIN).entries()) {
    if (authorities.some((authority) => issued(authority, certificate))) return true;
    const next = chain[i + 1];
    if (!next || !issued(next, certificate)) return false;
  }
  return false;
}

const issued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/** The chain in the form TLS gives it. */
export function chainOf(
  presented: PeerCertificate | DetailedPeerCertificate,
): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (
    let at: PeerCertificate | DetailedPeerCertificate | undefined = presented;
    at?.raw !== undefined && chain.length < MAX_CHAIN;
  ) {
    chain.push(new X509Certificate(at.raw));
    const above: DetailedPeerCertificate | undefined =
      'issuerCertificate' in at ? at.issuerCertificate : undefined;
    at = above === at ? undefined : above;
  }
  return chain;
}

/** What a TLS context is made of: the own chain and key, and everybody's authorities. */
export const contextOptions = ({ certificates, privateKey, bundles }: Identity) => ({
  cert: certificates.map(String).join(''),
  key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  ca: [...bundles.values()].flat().map(String),
  // A bundle may hold an authority that another one has signed.
  allowPartialTrustChain: true,
  minVersion: 'TLSv1.2' as const,
});
