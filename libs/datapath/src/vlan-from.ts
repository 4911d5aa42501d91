import { PlanError } from './check.ts';
import type { End, Vlan } from './plan.ts';
import type { Wire, WireMechanism } from './wire.ts';

const MAX_TAG = 4094;

/**
 * A wire to a physical network (contract 4.6): `vlan-id` is the endpoint's choice, `wire.network` the link of this node that leads
 * there.
 * @throws PlanError
 */
export function vlanFrom(
  { network, payload }: Wire,
  { parameters }: WireMechanism,
  end: End,
): Vlan {
  if (network === undefined)
    throw new PlanError(
      'labels.via',
      'no link of this node is known to lead to the physical network',
    );
  if (payload !== 'ETHERNET')
    throw new PlanError('payload', `VLAN cannot carry the payload ${payload}: it carries ETHERNET`);
  const text = parameters['vlan-id'] ?? '';
  const tag = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (tag > MAX_TAG)
    throw new PlanError(
      'endpoint.vlan-id',
      `${text} is not a VLAN: choose one of 1 to ${MAX_TAG}, or 0 for frames without a tag`,
    );
  return { kind: 'vlan', side: 'client', end, tag, carrier: { device: network } };
}

/** Whether the endpoint wants all its wires on one interface, this one under a tag (contract 4.3; above 4095 reads as 0). */
export const isTrunk = (endpoint: WireMechanism): boolean => {
  const tag = tagOf(endpoint);
  return tag > 0 && tag <= 4095;
};

/** A wire on the endpoint's one interface. Its addresses are the endpoint's to program, on a sub-interface or as it likes. */
export const trunkFrom = (endpoint: WireMechanism, end: End): Vlan => ({
  kind: 'vlan',
  side: 'client',
  end,
  tag: tagOf(endpoint),
  carrier: {
    netns: endpoint.parameters['inodeURL'] ?? '',
    name: endpoint.parameters['name'] ?? '',
  },
});

const tagOf = ({ parameters: { vlan } }: WireMechanism): number =>
  /^[0-9]{1,9}$/.test(vlan ?? '') ? Number(vlan) : 0;
