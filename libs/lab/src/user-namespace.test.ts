import { expect, test } from '@jest/globals';
import { NsmError } from '@nsm/rpc';
import { inNamespacesOf, inOwnNamespaces } from './user-namespace.ts';

const fine = () => ({ status: 0, stderr: '' });
const absent = () => ({ status: null, stderr: '', error: new Error('spawnSync unshare ENOENT') });
const refused = () => ({ status: 1, stderr: 'unshare failed: Operation not permitted\n' });

function failure(action: () => unknown): NsmError {
  try {
    action();
  } catch (error) {
    if (error instanceof NsmError) return error;
  }
  throw new Error('it did not fail as it should');
}

test('a host that forbids user namespaces is told with the settings that would allow them', () => {
  const { code, message, hint } = failure(() => inOwnNamespaces(['true'], refused));
  expect(code).toBe('permission-denied');
  expect(message).toMatch(/: unshare failed: Operation not permitted$/);
  expect(hint).toContain('sysctl -w user.max_user_namespaces=15000');
  expect(hint).toContain('kernel.apparmor_restrict_unprivileged_userns=0');
});

test('a host without the programs says what to install', () => {
  for (const action of [inOwnNamespaces.bind(null, []), inNamespacesOf.bind(null, 1, [])]) {
    const { code, hint } = failure(() => action(absent));
    expect(code).toBe('not-found');
    expect(hint).toContain('install util-linux');
  }
});

test('a command is wrapped where all is there', () => {
  expect(inOwnNamespaces(['a', 'b'], fine).join(' ')).toBe(
    'unshare --user --map-root-user --net --mount --propagation=private a b',
  );
  expect(inNamespacesOf(7, ['a'], fine).join(' ')).toBe(
    'nsenter --preserve-credentials --user --net --mount --target=7 a',
  );
});
