import { expect, test } from '@jest/globals';
import { formatRequestUrl, parseRequestUrl } from './request-url.ts';

test.each([
  ['kernel://web', { service: 'web', interface: undefined, labels: {} }],
  ['kernel://web/nsm-1', { service: 'web', interface: 'nsm-1', labels: {} }],
  [
    'kernel://web@far.org/a?b=c&d=',
    {
      service: 'web@far.org',
      interface: 'a',
      labels: { b: 'c', d: '' },
    },
  ],
  ['kernel://web?a=1&a=2', { service: 'web', interface: undefined, labels: { a: '1' } }],
])('%s is read', (text, expected) => {
  expect(parseRequestUrl(text)).toEqual(expected);
});

test.each(['kernel://web', 'kernel://web/nsm-1?a=b&c=d', 'kernel://web?x=y+z'])(
  '%s is written as it was read',
  (text) => {
    expect(formatRequestUrl(parseRequestUrl(text))).toBe(text);
  },
);

test.each([
  ['web', 'write it as'],
  ['kernel:///nsm-1', 'write it as'],
  ['vfio://web', 'mechanism "vfio" is not known'],
  ['kernel://web/..', 'is none'],
  ['kernel://web/a/b', 'is none'],
  ['kernel://web/sixteen-bytes-xx', 'has 16 bytes'],
  ['kernel://web/lo', 'taken by the loopback'],
])('%s is refused', (text, reason) => {
  expect(() => parseRequestUrl(text)).toThrow(reason);
});
