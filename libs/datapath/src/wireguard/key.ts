import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';

/** A Curve25519 key pair (RFC 7748). The private key goes into the device and nowhere else: no text is ever made of it. */
export interface KeyPair {
  /** Base64 of 32 bytes. */
  readonly publicKey: string;
  /** 32 bytes, as hexadecimal digits. */
  readonly privateKey: string;
}

/** RFC 8410: what stands before the 32 bytes of an X25519 private key in PKCS #8. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;

/** A new key pair, from the system's randomness. */
export function newKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const bytes = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(PKCS8.length);
  return { publicKey: textOf(publicKey), privateKey: bytes.toString('hex') };
}

/** The pair of a private key in hexadecimal digits. @throws Error when it has not 32 bytes */
export function keyPairOf(privateKey: string): KeyPair {
  const der = Buffer.concat([PKCS8, Buffer.from(privateKey, 'hex')]);
  const key = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' });
  return { publicKey: textOf(createPublicKey(key)), privateKey };
}

/** Whether a text is a public key as the protocol writes it: base64 of 32 bytes (contract 4.5). */
export function isPublicKey(text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_BYTES && bytes.toString('base64') === text;
}

const textOf = (key: KeyObject): string =>
  key.export({ type: 'spki', format: 'der' }).subarray(-KEY_BYTES).toString('base64');
