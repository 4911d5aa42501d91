import { compareAddresses, parseAddress } from '@nsm/ip';
import { NsmError } from '@nsm/rpc';

/** Largest VXLAN network identifier: 24 bits (RFC 7348). */
const MAX_VNI = 0xff_ff_ff;
const ATTEMPTS = 1_000;

/** The tunnel numbers of one node. A number stands for one tunnel on a node and port, whichever side chose it. */
export interface Vnis {
  /** A free number for a tunnel from `srcIp` to `dstIp`, now taken; even where src <= dst, odd otherwise (contract 4.4). */
  take(srcIp: string, dstIp: string): number;
  /** Takes this number; false: it is in use. */
  claim(vni: number): boolean;
  release(vni: number): void;
}

/** `random` gives numbers in [0, 1). */
export function createVnis(random: () => number): Vnis {
  const used = new Set<number>();
  const claim = (vni: number): boolean =>
    vni >= 1 && vni <= MAX_VNI && !used.has(vni) && used.add(vni).has(vni);
  return {
    claim,
    release: (vni) => void used.delete(vni),
    take: (srcIp, dstIp) => {
      // The parity keeps two nodes that serve each other from choosing the same number.
      const odd = compareAddresses(parseAddress(srcIp), parseAddress(dstIp)) > 0 ? 1 : 0;
      for (let i = 0; i < ATTEMPTS; i += 1) {
        const vni = (2 * Math.floor(random() * ((MAX_VNI + 1) / 2)) + odd) & MAX_VNI;
        if (claim(vni)) return vni;
      }
      throw new NsmError('exhausted', `no free VNI was found in ${ATTEMPTS} attempts`);
    },
  };
}
