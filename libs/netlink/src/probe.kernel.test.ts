import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { listLinks, netnsOf, probe, withRtnetlink } from './index.ts';

/** A namespace that lives on is held by a thread, a descriptor or a mount. */
const seen = () => ({
  links: withRtnetlink(undefined, listLinks).map(({ index, name }) => [index, name]),
  own: netnsOf('/proc/thread-self/ns/net'),
  descriptors: readdirSync('/proc/self/fd').length,
  mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
});

test('what every mesh needs is found where the tests of wires pass', () => {
  for (const feature of ['netns', 'rtnetlink', 'veth', 'vxlan', 'bridge', 'rules'] as const)
    expect(() => probe(feature)).not.toThrow();
});

test('a probe leaves no link and no namespace, whether the kernel has the feature or not', () => {
  const before = seen();
  for (const feature of [
    'veth',
    'vxlan',
    'vxlan6',
    'bridge',
    'rules',
    'rules6',
    'vlan',
    'bpf',
    'wireguard',
    'tun',
    'esp',
    'all-nsid',
    'peer-pidfd',
  ] as const) {
    try {
      probe(feature);
    } catch (error) {
      expect(error).toHaveProperty('code');
    }
  }
  expect(seen()).toEqual(before);
});
