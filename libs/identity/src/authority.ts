import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  X509Certificate,
} from 'node:crypto';
import type { Clock } from '@nsm/chain';
import { NsmError, spiffeIdOf, trustDomainOf, type Identity } from '@nsm/rpc';
import { createCertificate } from './certificate.ts';

/** Clocks of other machines may be behind by this, in ms. */
const SKEW_MS = 30_000;

/** A certificate authority of one trust domain. */
export interface Authority {
  readonly trustDomain: string;
  readonly certificate: X509Certificate;
  /** A new key with a certificate for it that ends after `lifetimeMs`, or with the authority. @throws NsmError invalid-argument */
  issue(spiffeId: string, lifetimeMs: number): Identity;
  /** Its key and certificate in PEM: whoever has them can be everybody. */
  secret(): string;
}

/** Makes an authority with a P-256 key of its own. */
export function createAuthority(trustDomain: string, lifetimeMs: number, clock: Clock): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = clock.now();
  const certificate = createCertificate({
    spiffeId: `spiffe://${trustDomain}`,
    publicKey,
    authority: true,
    notBefore: now - SKEW_MS,
    notAfter: now + lifetimeMs,
    issuer: { publicKey, privateKey },
  });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return authorityFrom(`${pem.toString()}${certificate.toString()}`, clock);
}

/** The authority whose secret this is. @throws Error where it is none */
export function authorityFrom(secret: string, clock: Clock): Authority {
  const privateKey = createPrivateKey(secret);
  const publicKey = createPublicKey(privateKey);
  const certificate = new X509Certificate(secret.slice(secret.indexOf('-----BEGIN CERT')));
  const trustDomain = trustDomainOf((certificate.subjectAltName ?? '').replace('URI:', ''));
  if (!certificate.ca || trustDomain === undefined || !certificate.checkPrivateKey(privateKey))
    throw new Error('these are not the key and the certificate of an authority');
  const end = Date.parse(certificate.validTo);
  return {
    trustDomain,
    certificate,
    secret: () => secret,
    issue: (spiffeId, lifetimeMs) => {
      if (trustDomainOf(spiffeId) !== trustDomain)
        throw new NsmError(
          'invalid-argument',
          `"${spiffeId}" is no SPIFFE id of the trust domain ${trustDomain}`,
        );
      const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const now = clock.now();
      const leaf = createCertificate({
        spiffeId,
        publicKey: key.publicKey,
        authority: false,
        notBefore: now - SKEW_MS,
        notAfter: Math.min(now + lifetimeMs, end),
        issuer: { publicKey, privateKey },
      });
      return {
        spiffeId: spiffeIdOf(leaf),
        certificates: [leaf],
        privateKey: key.privateKey,
        bundles: new Map([[trustDomain, [certificate]]]),
      };
    },
  };
}
