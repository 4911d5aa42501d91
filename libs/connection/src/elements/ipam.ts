import { slot } from '@nsm/chain';
import {
  contains,
  formatPrefix,
  hostPrefix,
  parsePrefix,
  type Address,
  type AddressPair,
  type Prefix,
  type PrefixPool,
} from '@nsm/ip';
import { ConnectionContext, IPContext, type Route } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { withConnection, type ConnectionElement } from '../call.ts';

/** One pair per group of prefixes. */
const leases = slot<readonly AddressPair[]>('ipam');

export interface IpamOptions {
  /** A pool per group; a connection gets a pair of addresses from each (contract 3.15: two groups for dual stack). */
  readonly groups: readonly PrefixPool[];
  /** Keep addresses of the caller that are not from these pools. Otherwise what is not ours is taken off. */
  readonly polite?: boolean;
}

/**
 * Gives a connection its addresses and the routes between them (contract 3.15, point2pointipam). A refresh keeps them
 * unless they have become excluded; after a restart they are claimed back from the request.
 */
export const ipam = ({ groups, polite = false }: IpamOptions): ConnectionElement => ({
  name: 'ipam',
  async run(call, next) {
    const { scope, connection } = call;
    const context = connection.context ?? ConnectionContext.create();
    const asked = context.ipContext ?? IPContext.create();
    const excluded = prefixes('excluded_prefixes', asked.excludedPrefixes);
    const held = scope.get(leases);
    const taken: { readonly pool: PrefixPool; readonly pair: AddressPair }[] = [];
    const replaced: { readonly pool: PrefixPool; readonly pair: AddressPair }[] = [];
    try {
      for (const [i, pool] of groups.entries()) {
        const mine = held?.[i];
        if (mine && allowed(mine, excluded)) {
          taken.push({ pool, pair: mine });
          continue;
        }
        const pair = recover(pool, asked, excluded) ?? pool.takePair(excluded);
        if (!pair)
          throw new NsmError('exhausted', 'IPPool is empty', {
            hint: 'give the endpoint a larger NSM_CIDR_PREFIX, or exclude less',
          });
        taken.push({ pool, pair });
        if (mine) replaced.push({ pool, pair: mine });
      }
    } catch (err) {
      for (const { pool, pair } of taken) if (!held?.includes(pair)) release(pool, pair);
      throw err;
    }
    const pairs = taken.map(({ pair }) => pair);
    scope.hold(
      leases,
      pairs,
      () => taken.forEach(({ pool, pair }) => release(pool, pair)),
      () => {
        for (const { pool, pair } of taken) if (!held?.includes(pair)) release(pool, pair);
      },
    );
    const answer = await next(
      withConnection(call, {
        context: {
          ...context,
          ipContext: addressed(asked, pairs, polite ? replaced.map(({ pair }) => pair) : 'all'),
        },
      }),
    );
    for (const { pool, pair } of replaced) release(pool, pair);
    return answer;
  },
});

const release = (pool: PrefixPool, { dst, src }: AddressPair): void => {
  pool.release(dst);
  pool.release(src);
};

const host = (address: Address): string => formatPrefix(hostPrefix(address));

const allowed = ({ dst, src }: AddressPair, excluded: readonly Prefix[]): boolean =>
  !excluded.some((prefix) => contains(prefix, dst) || contains(prefix, src));

/** The pair the request names, where it is of this pool and free: it was given out before a restart. */
function recover(
  pool: PrefixPool,
  { srcIpAddrs, dstIpAddrs }: IPContext,
  excluded: readonly Prefix[],
): AddressPair | undefined {
  const [sources, destinations] = [
    prefixes('src_ip_addrs', srcIpAddrs),
    prefixes('dst_ip_addrs', dstIpAddrs),
  ];
  for (const dst of destinations)
    for (const src of sources) {
      const pair = { dst, src };
      if (pool.owns(dst) && pool.owns(src) && allowed(pair, excluded) && pool.claimPair(pair))
        return pair;
    }
  return undefined;
}

/** The context with exactly our addresses; `drop` names which of the request's go: all, or those we gave before. */
function addressed(
  asked: IPContext,
  pairs: readonly AddressPair[],
  drop: readonly AddressPair[] | 'all',
): IPContext {
  const kept = (texts: readonly string[], end: 'src' | 'dst'): string[] =>
    drop === 'all' ? [] : texts.filter((text) => !drop.some((pair) => host(pair[end]) === text));
  const [oldSources, oldDestinations] = [new Set(asked.srcIpAddrs), new Set(asked.dstIpAddrs)];
  const src = unique([...kept(asked.srcIpAddrs, 'src'), ...pairs.map((pair) => host(pair.src))]);
  const dst = unique([...kept(asked.dstIpAddrs, 'dst'), ...pairs.map((pair) => host(pair.dst))]);
  // Routes that only mirrored addresses which are gone go with them.
  const routes = (
    had: readonly Route[],
    old: ReadonlySet<string>,
    now: readonly string[],
  ): Route[] => [
    ...had.filter(({ prefix, nextHop }) => !(nextHop === '' && old.has(prefix))),
    ...now.map((prefix) => ({ prefix, nextHop: '' })),
  ];
  return {
    ...asked,
    srcIpAddrs: src,
    dstIpAddrs: dst,
    srcRoutes: routes(asked.srcRoutes, oldDestinations, dst),
    dstRoutes: routes(asked.dstRoutes, oldSources, src),
  };
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)];

function prefixes(field: string, texts: readonly string[]): Prefix[] {
  return texts.map((text, i) => {
    try {
      return parsePrefix(text);
    } catch (err) {
      throw new NsmError(
        'invalid-argument',
        `connection.context.ip_context.${field}[${i}]: ${(err as Error).message}`,
      );
    }
  });
}
