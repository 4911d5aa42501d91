import { slot } from '@nsm/chain';
import { vxlanMtu } from '@nsm/datapath';
import type { Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { Call, ConnectionElement } from '../call.ts';
import { DST_IP, DST_PORT, MTU, REMOTE, SRC_IP, SRC_PORT, VNI, VXLAN } from '../mechanism.ts';
import { checkTunnelIp, facing, type TunnelAddress } from '../tunnel-ip.ts';
import { limitMtu, smallerMtu } from '../mtu.ts';
import type { Vnis } from '../vnis.ts';
import type { ServedMechanism } from './mechanisms.ts';

/** This node's end of its tunnels. */
export interface Tunnel {
  /** At least one; each is offered, in this order, and that of the other node's family is taken. */
  readonly addresses: readonly TunnelAddress[];
  /** UDP port. */
  readonly port: number;
  readonly vnis: Vnis;
}

const held = slot<number>('vxlan.vni');

const mtuOf = ({ ip, underlayMtu }: TunnelAddress, parameters: Mechanism['parameters']): number =>
  smallerMtu(Number(parameters[MTU] ?? 0) || 0, vxlanMtu(underlayMtu, ip));

/** A tunnel from the caller's node (contract 4.4): answers our end, the VNI and the MTU. */
export const vxlanMechanism = (tunnel: Tunnel): ServedMechanism => ({
  type: VXLAN,
  cls: REMOTE,
  async run(call, mechanism, next) {
    const srcIp = mechanism.parameters[SRC_IP] ?? '';
    checkTunnelIp(SRC_IP, srcIp);
    const own = facing(tunnel.addresses, srcIp);
    const proposed = Number(mechanism.parameters[VNI] ?? 0) || undefined;
    const vni = hold(call, tunnel.vnis, proposed, [srcIp, own.ip]);
    const mtu = mtuOf(own, mechanism.parameters);
    const parameters = {
      ...mechanism.parameters,
      [DST_IP]: own.ip,
      [DST_PORT]: String(tunnel.port),
      [VNI]: String(vni),
      [MTU]: String(mtu),
    };
    const complete: Mechanism = { cls: REMOTE, type: VXLAN, parameters };
    const answer = await next({
      ...call,
      connection: { ...limitMtu(call.connection, mtu), mechanism: complete },
    });
    return { ...limitMtu(answer, mtu), mechanism: complete };
  },
});

/** The number this connection has, the one the caller proposes if it is free here, the one its tunnel still has, or a new one. */
function hold(
  { scope, connection: { id } }: Call,
  vnis: Vnis,
  proposed: number | undefined,
  ips: readonly [src: string, dst: string],
): number {
  const known = scope.get(held);
  if (known !== undefined) return known;
  const wanted = [proposed, vnis.reservedFor(id)].filter((each) => each !== undefined);
  const vni = wanted.find((each) => vnis.claim(each, id)) ?? vnis.take(...ips);
  scope.hold(held, vni, () => vnis.release(vni));
  return vni;
}

/** What we offer to another node. */
export const vxlanOffers = ({ addresses, port }: Tunnel): Mechanism[] =>
  addresses.map((own) => ({
    cls: REMOTE,
    type: VXLAN,
    parameters: {
      [SRC_IP]: own.ip,
      [SRC_PORT]: String(port),
      [MTU]: String(mtuOf(own, {})),
    },
  }));

/**
 * Takes the number of a tunnel that the other node chose. Where it is in use on this node the request fails as a
 * conflict; what was made below is undone, and the next attempt gets another number.
 */
export const vxlanClaim = (tunnel: Tunnel): ConnectionElement => ({
  name: 'vxlan-claim',
  async run(call, next) {
    const answer = await next(call);
    const { mechanism } = answer;
    if (mechanism?.type !== VXLAN) return answer;
    const vni = Number(mechanism.parameters[VNI] ?? 0);
    const known = call.scope.get(held);
    if (known !== vni) {
      await call.scope.drop(held);
      if (!tunnel.vnis.claim(vni, answer.id))
        throw new NsmError('conflict', `VNI ${vni} is in use on this node`, {
          hint: 'ask again: another one is chosen',
        });
      call.scope.hold(held, vni, () => tunnel.vnis.release(vni));
    }
    const { addresses } = tunnel;
    const own = addresses.find(({ ip }) => ip === mechanism.parameters[SRC_IP]) ?? addresses[0];
    return own === undefined ? answer : limitMtu(answer, mtuOf(own, mechanism.parameters));
  },
});
