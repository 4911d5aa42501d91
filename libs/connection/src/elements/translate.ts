import { slot } from '@nsm/chain';
import type { Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { withConnection, type Call, type ConnectionElement } from '../call.ts';

/** The mechanism of the leg to the next hop, as it was answered. */
const onward = slot<Mechanism>('translate');

/**
 * The caller's mechanism ends here and another one goes on (contract 3.12): offers `offers(call)` to the next hop, or the
 * mechanism this connection has there already. The answer carries the mechanism of the next leg.
 */
export const translate = (
  offers: (call: Call) => Promise<readonly Mechanism[]>,
): ConnectionElement => ({
  name: 'translate',
  async run(call, next) {
    const preferences = await offers(call);
    const held = call.scope.get(onward);
    // Another next hop may need another mechanism: what is held goes on only where it is still on offer.
    const mechanism = held && preferences.some(({ type }) => type === held.type) ? held : undefined;
    const answer = await next({ ...withConnection(call, { mechanism }), preferences });
    if (!answer.mechanism)
      throw new NsmError(
        'mechanism-unsupported',
        `${call.target?.name ?? 'the next hop'} answered no mechanism`,
      );
    call.scope.keep(onward, answer.mechanism);
    return answer;
  },
});
