import { expect, test } from '@jest/globals';
import type { CountedLink } from '@nsm/datapath';
import { createTraffic } from './tell-wires.ts';

const NOTHING = { rxErrors: 0n, txErrors: 0n, rxDropped: 0n, txDropped: 0n };
const link = (
  id: string,
  side: 'client' | 'endpoint',
  { sent, received }: { sent: bigint; received: bigint },
): CountedLink => ({
  id,
  side,
  netns: `inode://1/${id}-${side}`,
  name: 'nsm-1',
  index: 7,
  kind: 'veth',
  counters: {
    ...NOTHING,
    txPackets: sent,
    rxPackets: received,
    txBytes: sent * 100n,
    rxBytes: received * 100n,
  },
});
const local = (): { client: string; endpoint: string } => ({
  client: 'KERNEL',
  endpoint: 'KERNEL',
});
const remote = (): { client: string; endpoint: string } => ({
  client: 'KERNEL',
  endpoint: 'VXLAN',
});

test('what a client sends comes in by its leg and goes out by the other, also into a tunnel', () => {
  const near = createTraffic().add(
    [
      link('a', 'client', { sent: 3n, received: 1n }),
      link('a', 'endpoint', { sent: 1n, received: 3n }),
    ],
    local,
  );
  expect(near.get('KERNEL')).toEqual({ rxPackets: 4, txPackets: 4, rxBytes: 400, txBytes: 400 });
  const far = createTraffic().add([link('a', 'client', { sent: 3n, received: 1n })], remote);
  expect(far.get('KERNEL')).toMatchObject({ rxPackets: 3, txPackets: 1 });
  expect(far.get('VXLAN')).toMatchObject({ rxPackets: 1, txPackets: 3 });
});

test('counts go on where links are gone, and never back', () => {
  const traffic = createTraffic();
  traffic.add([link('a', 'client', { sent: 5n, received: 0n })], remote);
  expect(traffic.add([], remote).get('KERNEL')?.rxPackets).toBe(5);
  const later = traffic.add([link('b', 'client', { sent: 2n, received: 0n })], remote);
  expect(later.get('KERNEL')?.rxPackets).toBe(7);
  traffic.add([link('b', 'client', { sent: 4n, received: 0n })], remote);
  expect(later.get('KERNEL')?.rxPackets).toBe(9);
});
