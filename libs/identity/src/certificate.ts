import { createHash, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { bits, boolean, element, integer, octets, oid, sequence, set, time, utf8 } from './der.ts';

/** What a certificate says (RFC 5280, narrowed by the X509-SVID standard). */
export interface CertificateSpec {
  /** Its one URI name. */
  readonly spiffeId: string;
  readonly publicKey: KeyObject;
  /** Of an authority: it signs others and is no server's or client's. */
  readonly authority: boolean;
  /** In ms since 1970; whole seconds count. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Whose key signs, and its private half; an authority of its own signs with the key it is for. */
  readonly issuer: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const NAME = sequence(set(sequence(oid('2.5.4.10'), utf8('NSM'))));

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));

/** RFC 7093, method 1. */
const keyId = (key: KeyObject): Buffer =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);

/** Makes a certificate with an ECDSA signature over SHA-256. */
export function createCertificate(spec: CertificateSpec): X509Certificate {
  const body = sequence(
    element(0xa0, integer(Buffer.of(2))), // version 3
    integer(randomBytes(16)),
    ECDSA_SHA256,
    NAME,
    sequence(time(spec.notBefore), time(spec.notAfter)),
    NAME,
    spec.publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions(spec))),
  );
  const signature = sign('sha256', body, spec.issuer.privateKey);
  return new X509Certificate(sequence(body, ECDSA_SHA256, bits(signature)));
}

function extensions({ spiffeId, publicKey, authority, issuer }: CertificateSpec): Buffer[] {
  const [serverAuth, clientAuth] = [oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2')];
  return [
    // keyCertSign and cRLSign, or digitalSignature
    extension('2.5.29.15', true, authority ? bits(Buffer.of(0x06), 1) : bits(Buffer.of(0x80), 7)),
    extension('2.5.29.19', true, authority ? sequence(boolean(true)) : sequence()),
    ...(authority ? [] : [extension('2.5.29.37', false, sequence(serverAuth, clientAuth))]),
    extension('2.5.29.14', false, octets(keyId(publicKey))),
    extension('2.5.29.35', false, sequence(element(0x80, keyId(issuer.publicKey)))),
    extension('2.5.29.17', false, sequence(element(0x86, Buffer.from(spiffeId)))),
  ];
}
