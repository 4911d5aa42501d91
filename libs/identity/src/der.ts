/** ASN.1 in DER (ITU-T X.690), as far as certificates need it: what `node:crypto` reads but does not write. */

/** One element: tag, length, content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const size = body.length;
  const length =
    size < 0x80
      ? [size]
      : size < 0x100
        ? [0x81, size]
        : [0x82, size >> 8, size & 0xff]; /* certificates are shorter than 64 KiB */
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

export const sequence = (...content: readonly Uint8Array[]): Buffer => element(0x30, ...content);
export const set = (...content: readonly Uint8Array[]): Buffer => element(0x31, ...content);
export const octets = (content: Uint8Array): Buffer => element(0x04, content);
export const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text));
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]));

/** Without unused bits. */
export const bits = (content: Uint8Array, unused = 0): Buffer =>
  element(0x03, Buffer.from([unused]), content);

/** A whole number of at least 0, from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  const from = bytes.findIndex((byte) => byte !== 0);
  const short = from < 0 ? Buffer.of(0) : Buffer.from(bytes.subarray(from));
  return element(0x02, (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short);
}

/** An object identifier in its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap((arc) => base128(arc))]));
}

function base128(arc: number): number[] {
  const bytes = [arc & 0x7f];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
    bytes.unshift(0x80 | (left & 0x7f));
  return bytes;
}

/** A time in whole seconds, given in ms since 1970 (RFC 5280, section 4.1.2.5: two-digit years until 2049). */
export function time(ms: number): Buffer {
  const text = new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return Number(text.slice(0, 4)) < 2050
    ? element(0x17, Buffer.from(text.slice(2)))
    : element(0x18, Buffer.from(text));
}

/** Cuts a row of elements at their ends, as the Workload API writes certificates. @throws Error where the bytes end too early */
export function split(row: Uint8Array): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < row.length;) {
    const first = row[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    let size = lengthBytes === 0 ? first : 0;
    for (let i = 0; i < lengthBytes; i += 1) size = size * 256 + (row[at + 2 + i] ?? 0);
    const end = at + 2 + lengthBytes + size;
    if (lengthBytes > 4 || end > row.length) throw new Error('the certificates are cut short');
    parts.push(Buffer.from(row.subarray(at, end)));
    at = end;
  }
  return parts;
}
