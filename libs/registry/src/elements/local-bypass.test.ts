import { expect, test } from '@jest/globals';
import { elementLaws } from '@nsm/chain/testing';
import { NetworkServiceEndpoint } from '@nsm/proto';
import type { Registered, RegistryCall } from '../call.ts';
import { emptyPath } from '../registry-path.ts';
import { localBypass, localView } from './local-bypass.ts';

const PUBLIC = 'tcp://node:5001';
const entry = NetworkServiceEndpoint.create({ name: 'nse', url: 'unix:///nse.sock' });

elementLaws<RegistryCall<NetworkServiceEndpoint>, Registered<NetworkServiceEndpoint>>(
  'local-bypass',
  () => {
    const urls = new Map<string, string>();
    return {
      element: () => localBypass(urls, PUBLIC),
      call: (base) => ({
        ...base,
        op: 'register',
        entry,
        path: emptyPath,
        token: undefined,
        own: undefined,
        deadline: undefined,
      }),
      answer: ({ entry: sent, path }) => ({ entry: sent, path }),
      state: () => new Map(urls),
    };
  },
);

test.each([
  ['here', 'tcp://node:5001', false, 'unix:///nse.sock'],
  ['here', 'tcp://node:5001', true, 'unix:///nse.sock'],
  ['unknown', 'tcp://node:5001', false, undefined],
  ['unknown', 'tcp://node:5001', true, 'tcp://node:5001'],
  ['elsewhere', 'tcp://other:5001', false, 'tcp://other:5001'],
])('an endpoint %s of %s, deleted: %s, is seen at %s', (name, url, deleted, seen) => {
  const urls = new Map([['here', 'unix:///nse.sock']]);
  expect(localView(urls, PUBLIC, { entry: { ...entry, name, url }, deleted })?.url).toBe(seen);
});
