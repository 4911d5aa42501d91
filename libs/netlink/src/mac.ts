/** The six bytes of `02:00:5e:10:00:01`. @throws Error with the offending text */
export function macBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text))
    throw new Error(`not a MAC address: ${JSON.stringify(text)}`);
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** Canonical text of a link-layer address: lower-case bytes joined by colons. */
export const formatMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
