import { compareAddresses, parseAddress } from '@nsm/ip';
import { NsmError } from '@nsm/rpc';

/** Largest VXLAN network identifier: 24 bits (RFC 7348). */
const MAX_VNI = 0xff_ff_ff;
const ATTEMPTS = 1_000;

/** The tunnel numbers of one node. A number stands for one tunnel on a node and port, whichever side chose it. */
export interface Vnis {
  /** A free number for a tunnel from `srcIp` to `dstIp`, now taken; even where src <= dst, odd otherwise (contract 4.4). */
  take(srcIp: string, dstIp: string): number;
  /** Takes this number for a connection; false: it is in use, or set aside for another one. */
  claim(vni: number, id: string): boolean;
  release(vni: number): void;
  /** Sets a number aside for the connection whose tunnel the kernel still has, from before a restart. */
  reserve(vni: number, id: string): void;
  /** The number that is set aside for a connection. */
  reservedFor(id: string): number | undefined;
  /** Gives up what is set aside for a connection: its tunnel is gone, or held like any other by now. */
  unreserve(id: string): void;
}

/** `random` gives numbers in [0, 1). */
export function createVnis(random: () => number): Vnis {
  const used = new Set<number>();
  const owners = new Map<number, string>();
  const reserved = new Map<string, number>();
  const unreserve = (id: string): void => {
    const vni = reserved.get(id);
    reserved.delete(id);
    if (vni !== undefined && owners.get(vni) === id) owners.delete(vni);
  };
  const claim = (vni: number, id: string | undefined): boolean => {
    if (vni < 1 || vni > MAX_VNI || used.has(vni)) return false;
    if (owners.has(vni) && owners.get(vni) !== id) return false;
    used.add(vni);
    return true;
  };
  return {
    claim,
    release: (vni) => void used.delete(vni),
    reserve: (vni, id) => {
      unreserve(id);
      owners.set(vni, id);
      reserved.set(id, vni);
    },
    reservedFor: (id) => reserved.get(id),
    unreserve,
    take: (srcIp, dstIp) => {
      // The parity keeps two nodes that serve each other from choosing the same number.
      const odd = compareAddresses(parseAddress(srcIp), parseAddress(dstIp)) > 0 ? 1 : 0;
      for (let i = 0; i < ATTEMPTS; i += 1) {
        const vni = (2 * Math.floor(random() * ((MAX_VNI + 1) / 2)) + odd) & MAX_VNI;
        if (claim(vni, undefined)) return vni;
      }
      throw new NsmError('exhausted', `no free VNI was found in ${ATTEMPTS} attempts`);
    },
  };
}
