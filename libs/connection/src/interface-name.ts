/** IFNAMSIZ less the terminator (linux/if.h). */
export const MAX_INTERFACE_NAME = 15;
const SERVICE_PART = 10;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** An interface name for a service (contract 4.3): its first 10 bytes, a dash, and random letters up to 15 bytes. */
export function interfaceName(service: string, random: () => number): string {
  const safe = service.replaceAll(/[^0-9A-Za-z._-]/g, '').slice(0, SERVICE_PART);
  const letter = (): string => ALPHABET[Math.floor(random() * ALPHABET.length)] ?? '0';
  return `${safe}-`.padEnd(MAX_INTERFACE_NAME, '\0').replaceAll('\0', letter);
}
