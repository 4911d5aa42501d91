import { linkDeleteGroup, vethAdd, withRtnetlink, writeSysctl } from '@nsm/netlink';
import { endsOf } from '@nsm/datapath';
import { programmed } from './by-hand.ts';
import type { Place } from './places.ts';
import { vethPlan } from './wires.ts';

/** Pairs in one send, and links that are deleted by one message: the kernel's lock on links is everybody's. */
const PAIRS_AT_ONCE = 50;
const IPV6_OFF = 'net/ipv6/conf/default/disable_ipv6';
const FIRST_INDEX = 0x7300_0000;
const FIRST_GROUP = 0x7000;
/** Above the numbers of the wires that are measured, so that no address is there twice. */
const FIRST_NUMBER = 10_000;

/** Fills a pod with interfaces that are up and programmed as wires are, two for each pair. Answers what takes them away. */
export function fill(pod: Place, interfaces: number): () => void {
  const pairs = interfaces / 2;
  const groups = Math.ceil(pairs / PAIRS_AT_ONCE);
  // As it is on wires that carry IPv4 only.
  writeSysctl(pod.path, IPV6_OFF, '1');
  withRtnetlink(pod.path, (rt) => {
    for (let group = 0; group < groups; group += 1) {
      const of = Array.from(
        { length: Math.min(PAIRS_AT_ONCE, pairs - group * PAIRS_AT_ONCE) },
        (_, i) => group * PAIRS_AT_ONCE + i,
      );
      rt.request(of.flatMap((n) => pair(pod, n, FIRST_GROUP + group)));
    }
  });
  writeSysctl(pod.path, IPV6_OFF, '0');
  return () => {
    withRtnetlink(pod.path, (rt) => {
      for (let group = 0; group < groups; group += 1)
        rt.request([linkDeleteGroup(FIRST_GROUP + group)]);
    });
  };
}

function pair(pod: Place, n: number, group: number) {
  const [one, other] = [FIRST_INDEX + 2 * n, FIRST_INDEX + 2 * n + 1];
  const ends = endsOf(vethPlan(pod, { ...pod, netns: 'inode://0/1' }, FIRST_NUMBER + n));
  return [
    vethAdd({ name: `m${n}`, index: one, group }, { name: `n${n}`, index: other, group }),
    ...ends.flatMap(({ end, side }, i) =>
      programmed(i === 0 ? one : other, { ...end, neighbours: [] }, `crowd-${n}/${side}`),
    ),
  ];
}
