import { slot } from '@nsm/chain';
import { withConnection, type ConnectionElement } from '@nsm/connection';
import { addressBits, formatPrefix, hostPrefix, parsePrefix } from '@nsm/ip';
import { ConnectionContext, IPContext } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';

/** What a wire has. */
const claimed = slot<Taken>('exclude-others');

/** Hops of ours take lists of 1,024; what is left out here is found in the answer. */
const MAX_EXCLUDED = 1_000;

/** Prefixes of one address each, as text. */
interface Taken {
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
}

/**
 * Keeps the wires of a client apart (contract 3.13, excludedprefixes client): what one has is excluded for the others, and an answer
 * with an address of another one is refused. `share` says which two may have the same.
 */
export function excludeOthers(share: (id: string, other: string) => boolean): ConnectionElement {
  const wires = new Map<string, Taken>();
  const others = (id: string): Taken[] =>
    [...wires].flatMap(([other, taken]) => (other === id || share(id, other) ? [] : [taken]));
  return {
    name: 'exclude-others',
    async run(call, next) {
      const { id } = call.connection;
      const context = call.connection.context ?? ConnectionContext.create();
      const asked = context.ipContext ?? IPContext.create();
      const own = new Set(takenBy(asked).addresses);
      const taken = others(id).flatMap(({ addresses, routes }) => [...addresses, ...routes]);
      const all = [...asked.excludedPrefixes, ...taken.filter((prefix) => !own.has(prefix))];
      const excludedPrefixes = [...new Set(all)].slice(0, MAX_EXCLUDED);
      const answer = await next(
        withConnection(call, {
          context: { ...context, ipContext: { ...asked, excludedPrefixes } },
        }),
      );
      const got = answer.context?.ipContext ?? IPContext.create();
      const now = takenBy(got);
      // Another wire may have come up meanwhile.
      const busy = new Set(others(id).flatMap(({ addresses }) => addresses));
      const twice = now.addresses.find((address) => busy.has(address));
      if (twice !== undefined)
        throw new NsmError(
          'conflict',
          `IP ${twice} is excluded, but it was found in response IPs: another wire of this client has it`,
          {
            hint: 'give the endpoints different prefixes, or name both wires in NSM_AWARENESS_GROUPS',
          },
        );
      wires.set(id, now);
      call.scope.hold(
        claimed,
        now,
        () => void wires.delete(id),
        (before) => void wires.set(id, before),
      );
      return {
        ...answer,
        context: {
          ...(answer.context ?? context),
          ipContext: { ...got, excludedPrefixes: asked.excludedPrefixes },
        },
      };
    },
  };
}

const takenBy = ({ srcIpAddrs, dstIpAddrs, srcRoutes, dstRoutes }: IPContext): Taken => ({
  addresses: [...srcIpAddrs, ...dstIpAddrs].map((text) =>
    formatPrefix(hostPrefix(parsePrefix(text))),
  ),
  routes: [...srcRoutes, ...dstRoutes]
    .map(({ prefix }) => parsePrefix(prefix))
    .filter(({ family, length }) => length === addressBits(family))
    .map(formatPrefix),
});
