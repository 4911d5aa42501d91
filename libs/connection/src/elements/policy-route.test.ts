import { describe, expect, test } from '@jest/globals';
import { PolicyRoute } from '@nsm/proto';
import { callOf, passedOn } from '../testing.ts';
import { policyRoute } from './policy-route.ts';

const web = PolicyRoute.fromPartial({ from: '172.16.2.1/32', proto: '6', dstPort: '80' });
const dns = PolicyRoute.fromPartial({ from: '172.16.2.2/32', proto: '17', dstPort: '53' });
const any = PolicyRoute.fromPartial({ proto: '47' });
const context = async (current: readonly PolicyRoute[], ipContext: object) => {
  const call = callOf({ id: 'a', context: { MTU: 1400, ipContext } });
  const { connection } = await passedOn(
    policyRoute(() => current),
    call,
  );
  expect(connection.context?.MTU).toBe(1400);
  const { srcIpAddrs, policies } = connection.context!.ipContext!;
  return { srcIpAddrs, policies };
};

describe('policy-route', () => {
  test('gives the policies there are, and the addresses they are for', async () => {
    expect(await context([web, dns, any], { srcIpAddrs: ['172.16.1.1/32'] })).toEqual({
      srcIpAddrs: ['172.16.1.1/32', '172.16.2.1/32', '172.16.2.2/32'],
      policies: [web, dns, any],
    });
  });

  test('takes off what it gave before, also before a restart', async () => {
    const given = { srcIpAddrs: ['172.16.1.1/32', '172.16.2.1/32'], policies: [web] };
    expect(await context([dns], given)).toEqual({
      srcIpAddrs: ['172.16.1.1/32', '172.16.2.2/32'],
      policies: [dns],
    });
    expect(await context([], given)).toEqual({ srcIpAddrs: ['172.16.1.1/32'], policies: [] });
    expect(await context([web], given)).toEqual(given);
  });

  test('leaves a request alone where there are none', async () => {
    const call = callOf({ id: 'a' });
    expect(
      await passedOn(
        policyRoute(() => []),
        call,
      ),
    ).toBe(call);
  });
});
