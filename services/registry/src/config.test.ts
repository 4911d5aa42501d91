import { expect, test } from '@jest/globals';
import { parseStore } from './config.ts';

test.each([
  ['memory', { engine: 'memory' }],
  ['sqlite:/var/lib/nsm/registry.db', { engine: 'sqlite', path: '/var/lib/nsm/registry.db' }],
])('NSM_STORE=%s', (text, store) => {
  expect(parseStore(text)).toEqual(store);
});

test.each(['', 'etcd:http://x', 'sqlite:', 'sqlite:registry.db', 'sqlite:/var/'])(
  'NSM_STORE=%s is refused',
  (text) => {
    expect(() => parseStore(text)).toThrow();
  },
);
