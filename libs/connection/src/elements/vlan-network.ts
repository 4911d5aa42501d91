import type { Connection, Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { REMOTE, VIA, VLAN } from '../mechanism.ts';
import { limitMtu } from '../mtu.ts';

/** The physical networks that this node is on. */
export interface Networks {
  /** The link of the node that leads to a network, and its MTU in octets, 0 when there is no such link now. */
  find(via: string): { readonly device: string; readonly mtu: number } | undefined;
  /** What can be found. */
  readonly names: readonly string[];
}

/** What we offer to an endpoint that may be a physical network (contract 4.6): it answers `vlan-id` and the label `via`. */
export const vlanOffer: Mechanism = { cls: REMOTE, type: VLAN, parameters: {} };

/** The link that leads where an answered connection wants to; undefined where it wants no VLAN. */
export const deviceOf = (networks: Networks, answer: Connection): string | undefined =>
  answer.mechanism?.type === VLAN ? networks.find(answer.labels[VIA] ?? '')?.device : undefined;

/** Checks that this node is on the network of an answered VLAN, and lowers the MTU to what its link carries. */
export const vlanNetwork = (networks: Networks): ConnectionElement => ({
  name: 'vlan-network',
  async run(call, next) {
    const answer = await next(call);
    if (answer.mechanism?.type !== VLAN) return answer;
    const via = answer.labels[VIA];
    const found = networks.find(via ?? '');
    if (found === undefined)
      throw new NsmError(
        'mechanism-unsupported',
        via === undefined
          ? 'VLAN: the endpoint answered no label "via", which names the physical network'
          : `VLAN: this node is not on the physical network ${JSON.stringify(via)}`,
        {
          hint: `known here: ${networks.names.join(', ') || 'none'}; NSM_DEVICE_SELECTOR_FILE names the link of each network`,
        },
      );
    return found.mtu === 0 ? answer : limitMtu(answer, found.mtu);
  },
});
