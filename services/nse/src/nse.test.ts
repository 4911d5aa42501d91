import { describe, expect, test } from '@jest/globals';
import { formatPrefix } from '@nsm/ip';
import { nseChain, type NseDeps } from './chain.ts';
import { parseGroups } from './config.ts';
import { nextWire } from './next-wire.ts';

test('the chain of an endpoint, in order', () => {
  expect(nseChain({} as NseDeps).name).toMatchInlineSnapshot(
    `"validate > update-path > update-token > authorize > lifecycle > expire > ipam > policy-route > send-netns > mechanisms > trim-path"`,
  );
});

test('the chain of one that passes on, in order', () => {
  const { name } = nseChain({ name: 'nse', onward: {} } as NseDeps);
  expect(name).toMatchInlineSnapshot(
    `"validate > update-path > update-token > authorize > lifecycle > expire > send-netns > mechanisms > join-wires > same-macs > pass-through > translate > as-client > update-path > update-token > lifecycle > to-manager > follow-next-hop > connect"`,
  );
});

test('the interface of the next wire has the same name for the same connection, and another one for any other', () => {
  const nameFor = (id: string): string | undefined =>
    nextWire(
      { connection: { id, networkService: 'a-long-service' } } as Parameters<typeof nextWire>[0],
      'inode://4/1',
    ).parameters['name'];
  expect(nameFor('x')).toMatch(/^a-lo-\w{10}$/);
  expect(nameFor('x')).toBe(nameFor('x'));
  expect(nameFor('x')).not.toBe(nameFor('y'));
});

describe('NSM_CIDR_PREFIX', () => {
  test.each([
    ['172.16.0.0/24', [['172.16.0.0/24']]],
    ['172.16.0.0/24,fd00::/64', [['172.16.0.0/24'], ['fd00::/64']]],
    [
      '[172.16.0.0/24,172.17.0.0/24],[fd00::/64]',
      [['172.16.0.0/24', '172.17.0.0/24'], ['fd00::/64']],
    ],
  ])('%s is read as groups', (text, groups) => {
    expect(parseGroups(text).map((group) => group.map(formatPrefix))).toEqual(groups);
  });

  test.each([
    ['', 'required one or more prefixes'],
    ['172.16.0.0', 'not an IP prefix'],
    ['172.16.0.0/16,172.16.1.0/24', 'overlap'],
  ])('%j is refused', (text, why) => {
    expect(() => parseGroups(text)).toThrow(why);
  });
});
