import { type Slot, slot } from '@nsm/chain';
import { isPublicKey, wireguardMtu, type WireguardDevices } from '@nsm/datapath';
import type { Connection, Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { Call, ConnectionElement } from '../call.ts';
import {
  DST_IP,
  DST_PORT,
  DST_PUBLIC_KEY,
  MTU,
  REMOTE,
  SRC_IP,
  SRC_PORT,
  SRC_PUBLIC_KEY,
  WIREGUARD,
} from '../mechanism.ts';
import { limitMtu, smallerMtu } from '../mtu.ts';
import { checkTunnelIp, facing } from '../tunnel-ip.ts';
import type { ServedMechanism } from './mechanisms.ts';

/** This node's end of its encrypted tunnels. */
export interface WireguardTunnel {
  readonly ip: string;
  /** MTU of the link that carries the tunnels, in octets. */
  readonly underlayMtu: number;
  /** The forwarder's name, as its plans carry it. */
  readonly owner: string;
  readonly devices: Pick<WireguardDevices, 'identity' | 'release'>;
}

/** The key pair and port of our end, as the tunnel's destination and as its source. */
const served = slot<Identity>('wireguard.served');
const offered = slot<Identity>('wireguard.offered');
type Identity = Awaited<ReturnType<WireguardDevices['identity']>>;
type Side = Parameters<WireguardDevices['identity']>[0]['side'];

/**
 * An encrypted tunnel from the caller's node (contract 4.5): answers our address, port, public key and the MTU. The key pair
 * stays for the life of the connection, and over a restart for that of its device.
 */
export const wireguardMechanism = (tunnel: WireguardTunnel): ServedMechanism => ({
  type: WIREGUARD,
  cls: REMOTE,
  async run(call, mechanism, next) {
    if (!carries(call.connection))
      throw new NsmError(
        'mechanism-unsupported',
        `WIREGUARD cannot carry the payload ${call.connection.payload}`,
        { hint: 'it carries IP: offer VXLAN too' },
      );
    checkPeer(mechanism, { ip: SRC_IP, key: SRC_PUBLIC_KEY });
    facing([tunnel], mechanism.parameters[SRC_IP] ?? '');
    const { publicKey, port } = await hold(call, tunnel, served, 'endpoint');
    const mtu = mtuOf(tunnel, mechanism.parameters);
    const parameters = {
      ...mechanism.parameters,
      [DST_IP]: tunnel.ip,
      [DST_PORT]: String(port),
      [DST_PUBLIC_KEY]: publicKey,
      [MTU]: String(mtu),
    };
    const complete: Mechanism = { cls: REMOTE, type: WIREGUARD, parameters };
    const answer = await next({
      ...call,
      connection: { ...limitMtu(call.connection, mtu), mechanism: complete },
    });
    return { ...limitMtu(answer, mtu), mechanism: complete };
  },
});

/** What we offer to another node: nothing for a payload that it cannot carry. */
export async function wireguardOffers(
  call: Call,
  tunnel: WireguardTunnel,
): Promise<readonly Mechanism[]> {
  if (!carries(call.connection)) return [];
  const { publicKey, port } = await hold(call, tunnel, offered, 'client');
  const parameters = {
    [SRC_IP]: tunnel.ip,
    [SRC_PORT]: String(port),
    [SRC_PUBLIC_KEY]: publicKey,
    [MTU]: String(mtuOf(tunnel, {})),
  };
  return [{ cls: REMOTE, type: WIREGUARD, parameters }];
}

/** Checks what the other node answered to our offer; where it chose something else, the key pair and port are given back. */
export const wireguardClaim = (tunnel: WireguardTunnel): ConnectionElement => ({
  name: 'wireguard-claim',
  async run(call, next) {
    const answer = await next(call);
    const { mechanism } = answer;
    if (mechanism?.type !== WIREGUARD) {
      await call.scope.drop(offered);
      return answer;
    }
    checkPeer(mechanism, { ip: DST_IP, key: DST_PUBLIC_KEY });
    return limitMtu(answer, mtuOf(tunnel, mechanism.parameters));
  },
});

async function hold(
  { scope, connection }: Call,
  { devices, owner }: WireguardTunnel,
  held: Slot<Identity>,
  side: Side,
): Promise<Identity> {
  const known = scope.get(held);
  if (known !== undefined) return known;
  const mark = { id: connection.id, side, owner };
  const identity = await devices.identity(mark);
  scope.hold(held, identity, () => devices.release(mark));
  return identity;
}

/** Contract 4.1: WireGuard carries IP; so does a connection that does not say. */
const carries = ({ payload }: Connection): boolean => payload === '' || payload === 'IP';

const mtuOf = ({ ip, underlayMtu }: WireguardTunnel, parameters: Mechanism['parameters']): number =>
  smallerMtu(Number(parameters[MTU] ?? 0) || 0, wireguardMtu(underlayMtu, ip));

function checkPeer(
  { parameters }: Mechanism,
  names: { readonly ip: string; readonly key: string },
): void {
  checkTunnelIp(names.ip, parameters[names.ip] ?? '');
  const key = parameters[names.key] ?? '';
  if (!isPublicKey(key))
    throw new NsmError(
      'invalid-argument',
      `mechanism.parameters["${names.key}"]: ${JSON.stringify(key)} is not a WireGuard public key`,
      { hint: 'send the base64 of its 32 bytes' },
    );
}
