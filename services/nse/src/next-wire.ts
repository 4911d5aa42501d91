import { createHash } from 'node:crypto';
import {
  INTERFACE_NAME,
  interfaceName,
  KERNEL,
  LOCAL,
  NETNS_URL,
  type Call,
} from '@nsm/connection';
import type { Mechanism } from '@nsm/proto';

/** Of the service's name, so that the rest of 15 letters tells any two wires apart. */
const SERVICE_LETTERS = 4;

/**
 * What an endpoint asks for as the wire to the next one: an interface in its namespace. Upstream's forwarders count on clients to name
 * it; the name follows from the connection's id, so that it is the same after a crash.
 */
export function nextWire({ connection: { id, networkService } }: Call, netns: string): Mechanism {
  const hash = createHash('sha256').update(id).digest();
  let letter = 0;
  const random = (): number => (hash[letter++ % hash.length] ?? 0) / 256;
  const name = interfaceName(networkService.slice(0, SERVICE_LETTERS), random);
  return { cls: LOCAL, type: KERNEL, parameters: { [NETNS_URL]: netns, [INTERFACE_NAME]: name } };
}
