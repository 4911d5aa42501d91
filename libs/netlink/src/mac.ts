const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** The six bytes of `02:00:5e:10:00:01`. @throws Error with the offending text */
export function macBytes(text: string): Uint8Array {
  if (!MAC.test(text)) throw new Error(`not a MAC address: ${JSON.stringify(text)}`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

/** Canonical text of a link-layer address: lower-case bytes joined by colons. */
export const formatMac = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replaceAll(/..(?!$)/g, '$&:');
