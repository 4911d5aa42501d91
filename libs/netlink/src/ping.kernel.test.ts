import { describe, expect, test } from '@jest/globals';
import { ping } from './index.ts';
import { twoNamespaces, wire } from './testing.ts';

const two = twoNamespaces();

describe('ping', () => {
  test.each([
    ['IPv4', '10.0.0.1/30', '10.0.0.2/30'],
    ['IPv6', 'fd00::1/64', 'fd00::2/64'],
  ])('%s is answered over a wire', async (_, one, other) => {
    wire(two, { a: [one], b: [other] });
    const dst = other.split('/')[0]!;
    const result = await ping({
      netns: two.a,
      dst,
      src: one.split('/')[0]!,
      count: 3,
      intervalMs: 5,
    });
    expect(result).toMatchObject({ sent: 3, received: 3, errors: [] });
    const again = await ping({ netns: two.a, dst });
    expect(again.rttMs[0]).toBeLessThan(100);
  });

  test('names what keeps it from being sent', async () => {
    const result = await ping({ netns: two.a, dst: '192.0.2.1', timeoutMs: 10 });
    expect(result).toMatchObject({
      sent: 1,
      received: 0,
      errors: ['seq 1: sendto: Network is unreachable (ENETUNREACH)'],
    });
  });

  test('stops waiting at its timeout, and at once when aborted', async () => {
    wire(two, { a: ['10.0.0.1/30'], b: [] });
    expect(await ping({ netns: two.a, dst: '10.0.0.2', timeoutMs: 30 })).toMatchObject({
      sent: 1,
      received: 0,
    });
    const waiting = ping(
      { netns: two.a, dst: '10.0.0.2', timeoutMs: 60_000 },
      AbortSignal.timeout(20),
    );
    await expect(waiting).rejects.toThrow('timeout');
  });

  test('does not fragment when told so', async () => {
    wire(two, { a: ['10.0.0.1/30'], b: ['10.0.0.2/30'] });
    expect(
      await ping({ netns: two.a, dst: '10.0.0.2', size: 1472, dontFragment: true }),
    ).toMatchObject({ received: 1 });
    const large = await ping({ netns: two.a, dst: '10.0.0.2', size: 1473, dontFragment: true });
    expect(large).toMatchObject({
      received: 0,
      errors: ['seq 1: sendto: Message too long (EMSGSIZE)'],
    });
    expect(await ping({ netns: two.a, dst: '10.0.0.2', size: 1473 })).toMatchObject({
      received: 1,
    });
  });
});
