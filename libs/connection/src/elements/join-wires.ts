import { slot } from '@nsm/chain';
import type { Joints } from '@nsm/datapath';
import type { Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { INTERFACE_NAME, KERNEL } from '../mechanism.ts';

/** Whatever is joined of a connection. */
const joined = slot<true>('join-wires');

/**
 * Joins the interface of the caller's wire, which comes after the answer, with that of the next one, which is there with it. Stands
 * between the two mechanisms.
 */
export const joinWires = (joints: Pick<Joints, 'join' | 'part'>): ConnectionElement => ({
  name: 'join-wires',
  async run(call, next) {
    const answer = await next(call);
    const { id, mechanism } = call.connection;
    const ends = [interfaceOf(mechanism), interfaceOf(answer.mechanism)] as const;
    if (call.scope.get(joined) === undefined) call.scope.hold(joined, true, () => joints.part(id));
    try {
      joints.join(id, ends);
    } catch (err) {
      throw new NsmError('kernel', `${ends.join(' and ')} cannot be joined: ${String(err)}`, {
        cause: err,
        hint: 'an endpoint that passes on needs CAP_NET_ADMIN in its namespace, and wires with link-layer addresses, which WIREGUARD has not',
      });
    }
    return answer;
  },
});

function interfaceOf(mechanism: Mechanism | undefined): string {
  const name = mechanism?.type === KERNEL ? mechanism.parameters[INTERFACE_NAME] : undefined;
  if (name === undefined)
    throw new NsmError(
      'mechanism-unsupported',
      `an endpoint that passes on joins interfaces, and ${mechanism?.type ?? 'no mechanism'} has none`,
    );
  return name;
}
