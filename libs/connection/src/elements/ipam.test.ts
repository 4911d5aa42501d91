import { describe, expect, test } from '@jest/globals';
import { Scope } from '@nsm/chain';
import { elementLaws } from '@nsm/chain/testing';
import { createPrefixPool, parsePrefix } from '@nsm/ip';
import { callOf, passedOn } from '../testing.ts';
import { ipam } from './ipam.ts';

const pool = (...prefixes: string[]) => createPrefixPool(prefixes.map(parsePrefix));
const addressesOf = async (
  element: ReturnType<typeof ipam>,
  ipContext = {},
  scope = new Scope(),
) => {
  const { connection } = await passedOn(
    element,
    callOf({ id: 'a', context: { ipContext } }, { scope }),
  );
  const { srcIpAddrs, dstIpAddrs, srcRoutes, dstRoutes } = connection.context!.ipContext!;
  return {
    src: srcIpAddrs,
    dst: dstIpAddrs,
    srcRoutes: srcRoutes.map(({ prefix }) => prefix),
    dstRoutes: dstRoutes.map(({ prefix }) => prefix),
  };
};

describe('ipam', () => {
  test('gives the lowest free pair, the endpoint first, with routes to each other', async () => {
    const element = ipam({ groups: [pool('172.16.1.0/24')] });
    expect(await addressesOf(element)).toEqual({
      src: ['172.16.1.1/32'],
      dst: ['172.16.1.0/32'],
      srcRoutes: ['172.16.1.0/32'],
      dstRoutes: ['172.16.1.1/32'],
    });
    expect((await addressesOf(element)).src).toEqual(['172.16.1.3/32']);
  });

  test('gives one pair per group', async () => {
    const got = await addressesOf(ipam({ groups: [pool('172.16.1.0/24'), pool('fd00::/64')] }));
    expect(got.src).toEqual(['172.16.1.1/32', 'fd00::1/128']);
    expect(got.dst).toEqual(['172.16.1.0/32', 'fd00::/128']);
  });

  test('gives a new pair and no stale routes when the old one becomes excluded', async () => {
    const element = ipam({ groups: [pool('172.16.1.0/24')] });
    const scope = new Scope();
    const first = await addressesOf(element, {}, scope);
    const again = await addressesOf(
      element,
      {
        srcIpAddrs: first.src,
        dstIpAddrs: first.dst,
        srcRoutes: [{ prefix: '172.16.1.0/32' }],
        dstRoutes: [{ prefix: '172.16.1.1/32' }],
        excludedPrefixes: ['172.16.1.0/31'],
      },
      scope,
    );
    expect(again).toEqual({
      src: ['172.16.1.3/32'],
      dst: ['172.16.1.2/32'],
      srcRoutes: ['172.16.1.2/32'],
      dstRoutes: ['172.16.1.3/32'],
    });
  });

  test('claims addresses back after a restart', async () => {
    const got = await addressesOf(ipam({ groups: [pool('172.16.1.0/24')] }), {
      srcIpAddrs: ['172.16.1.9/32'],
      dstIpAddrs: ['172.16.1.8/32'],
    });
    expect([got.src, got.dst]).toEqual([['172.16.1.9/32'], ['172.16.1.8/32']]);
  });

  test('takes off addresses of another endpoint, unless it is polite', async () => {
    const foreign = {
      srcIpAddrs: ['10.0.0.1/32'],
      dstIpAddrs: ['10.0.0.2/32'],
      srcRoutes: [{ prefix: '10.0.0.2/32' }, { prefix: '0.0.0.0/0', nextHop: '10.0.0.2' }],
    };
    expect(await addressesOf(ipam({ groups: [pool('172.16.1.0/24')] }), foreign)).toMatchObject({
      src: ['172.16.1.1/32'],
      srcRoutes: ['0.0.0.0/0', '172.16.1.0/32'],
    });
    expect(
      (await addressesOf(ipam({ groups: [pool('172.16.1.0/24')], polite: true }), foreign)).src,
    ).toEqual(['10.0.0.1/32', '172.16.1.1/32']);
  });

  test('an empty pool is exhausted and costs the other groups nothing', async () => {
    const plenty = pool('172.16.1.0/24');
    await expect(addressesOf(ipam({ groups: [plenty, pool('fd00::/128')] }))).rejects.toMatchObject(
      { code: 'exhausted', message: 'IPPool is empty' },
    );
    expect(plenty.free()).toBe(256n);
  });
});

elementLaws('ipam', () => {
  let shared = pool('172.16.1.0/24');
  let made = 0;
  return {
    // A new process starts with a full pool: what is in use comes back with the requests.
    element: () => {
      if (made++ > 0) shared = pool('172.16.1.0/24');
      return ipam({ groups: [shared] });
    },
    call: (base) =>
      callOf(
        {
          id: 'a',
          context: { ipContext: { srcIpAddrs: ['172.16.1.1/32'], dstIpAddrs: ['172.16.1.0/32'] } },
        },
        base,
      ),
    answer: (call) => call.connection,
    state: () => String(shared.free()),
  };
});
