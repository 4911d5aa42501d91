import { expect, test } from '@jest/globals';
import { parseDeviceSelector } from './device-selector.ts';

test('gives the link of each network', () => {
  const text = `
interfaces:
  - name: eth1
    matches:
      - labelSelector:
          - via: gw1
          - via: service.domain.2
  - name: eth2
    matches:
      - labelSelector: [{ via: gw2 }]
`;
  expect([...parseDeviceSelector(text)]).toEqual([
    ['gw1', 'eth1'],
    ['service.domain.2', 'eth1'],
    ['gw2', 'eth2'],
  ]);
});

test('an empty file knows no network', () => {
  expect(parseDeviceSelector('').size).toBe(0);
});

test.each([
  ['- eth1', 'the file: is not a mapping'],
  ['bridges: []', 'bridges: only interfaces are known'],
  ['interfaces: eth1', 'interfaces: is not a list'],
  ['interfaces: [{ matches: [] }]', 'interfaces[0].name'],
  ['interfaces: [{ name: eth1 }]', 'interfaces[0].matches: is not a list'],
  [
    'interfaces: [{ name: eth1, matches: [{ labelSelector: [{ via: 5 }] }] }]',
    'labelSelector[0].via',
  ],
  [
    'interfaces: [{ name: a, matches: [{ labelSelector: [{ via: x }, { via: x }] }] }]',
    'the network x is that of a already',
  ],
])('names the fault of %j', (text, fault) => {
  expect(() => parseDeviceSelector(text)).toThrow(fault);
});
