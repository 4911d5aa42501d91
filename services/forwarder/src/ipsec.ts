import { probe } from '@nsm/netlink';

const INSTEAD = 'ask for WIREGUARD, or for VXLAN in a network you trust';

/** Why this node serves no IPSEC: it takes ESP in the kernel, and somebody who agrees on its keys (contract 4.5). */
export function whyNoIpsec(): string {
  try {
    probe('esp');
    return `its keys are agreed on by IKEv2, which this forwarder does not speak; ${INSTEAD}`;
  } catch (error) {
    return `the kernel of this node refuses ESP (${error instanceof Error ? error.message : String(error)}); ${INSTEAD}`;
  }
}
