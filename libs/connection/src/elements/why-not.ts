import type { Mechanism } from '@nsm/proto';

/** Why a forwarder of kernels cannot realise what other forwarders can (contract 4.1). */
const REASONS: Readonly<Record<string, string>> = {
  MEMIF: 'it is memory shared with a packet processor such as VPP, and wires here are the kernel’s',
  VFIO: 'it hands a PCI function to the workload, for which a forwarder with SR-IOV is needed',
  SRV6: 'the protocol has the name, but does not say how packets are carried',
  VXLAN: 'there is no tunnel address here: set NSM_TUNNEL_IP',
  VLAN: 'it leads from a forwarder to a physical network, and cannot be asked of a forwarder',
};

/** `LOCAL MEMIF (why it is refused here)`. `causes` are the reasons of this very service, by type. */
export function whyNot(mechanism: Mechanism, causes: Readonly<Record<string, string>>): string {
  const { type } = mechanism;
  const why = causes[type] ?? (Object.hasOwn(REASONS, type) ? REASONS[type] : undefined);
  return why === undefined
    ? describeMechanism(mechanism)
    : `${describeMechanism(mechanism)} (${why})`;
}

/** `LOCAL KERNEL` */
export const describeMechanism = ({ cls, type }: Pick<Mechanism, 'cls' | 'type'>): string =>
  `${cls === '' ? '' : `${cls} `}${type === '' ? '(no type)' : type}`;
