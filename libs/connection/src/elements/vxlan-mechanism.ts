import { slot } from '@nsm/chain';
import { vxlanMtu } from '@nsm/datapath';
import type { Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { Call, ConnectionElement } from '../call.ts';
import { DST_IP, DST_PORT, MTU, REMOTE, SRC_IP, SRC_PORT, VNI, VXLAN } from '../mechanism.ts';
import { checkTunnelIp } from '../tunnel-ip.ts';
import { limitMtu, smallerMtu } from '../mtu.ts';
import type { Vnis } from '../vnis.ts';
import type { ServedMechanism } from './mechanisms.ts';

/** This node's end of its tunnels. */
export interface Tunnel {
  readonly ip: string;
  /** UDP port. */
  readonly port: number;
  /** MTU of the link that carries the tunnels, in octets. */
  readonly underlayMtu: number;
  readonly vnis: Vnis;
}

const held = slot<number>('vxlan.vni');

const mtuOf = ({ ip, underlayMtu }: Tunnel, parameters: Mechanism['parameters']): number =>
  smallerMtu(Number(parameters[MTU] ?? 0) || 0, vxlanMtu(underlayMtu, ip));

/** A tunnel from the caller's node (contract 4.4): answers our end, the VNI and the MTU. */
export const vxlanMechanism = (tunnel: Tunnel): ServedMechanism => ({
  type: VXLAN,
  cls: REMOTE,
  async run(call, mechanism, next) {
    const srcIp = mechanism.parameters[SRC_IP] ?? '';
    checkTunnelIp(SRC_IP, srcIp);
    const vni = hold(call, tunnel, Number(mechanism.parameters[VNI] ?? 0) || undefined, srcIp);
    const mtu = mtuOf(tunnel, mechanism.parameters);
    const parameters = {
      ...mechanism.parameters,
      [DST_IP]: tunnel.ip,
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
  { vnis, ip }: Tunnel,
  proposed: number | undefined,
  srcIp: string,
): number {
  const known = scope.get(held);
  if (known !== undefined) return known;
  const wanted = [proposed, vnis.reservedFor(id)].filter((each) => each !== undefined);
  const vni = wanted.find((each) => vnis.claim(each, id)) ?? vnis.take(srcIp, ip);
  scope.hold(held, vni, () => vnis.release(vni));
  return vni;
}

/** What we offer to another node. */
export const vxlanOffer = (tunnel: Tunnel): Mechanism => ({
  cls: REMOTE,
  type: VXLAN,
  parameters: {
    [SRC_IP]: tunnel.ip,
    [SRC_PORT]: String(tunnel.port),
    [MTU]: String(mtuOf(tunnel, {})),
  },
});

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
    return limitMtu(answer, mtuOf(tunnel, mechanism.parameters));
  },
});
