import { describe, expect, test } from '@jest/globals';
import { formatPrefix, parseAddress, parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  type InstalledRule,
  listAllRoutes,
  listRoutes,
  listRules,
  ping,
  routeDelete,
  routeReplace,
  RTPROT_NSM,
  type Rule,
  ruleAdd,
  ruleDelete,
  withRtnetlink,
} from './index.ts';
import { twoNamespaces, wire } from './testing.ts';

const two = twoNamespaces();

describe('rules', () => {
  test('send packets to a table of their own, once, and are gone when removed', async () => {
    const { a: index } = wire(two, {
      a: ['10.0.0.1/30', 'fd00::1/64'],
      b: ['10.0.0.2/30', 'fd00::2/64'],
    });
    const rules: Rule[] = [
      { family: 4, table: 300, priority: 30_000, ipproto: 1 },
      {
        family: 6,
        from: parsePrefix('fd00::1/128'),
        sport: { start: 1, end: 65_534 },
        dport: { start: 80, end: 80 },
        table: 0xfffffff0,
        priority: 30_001,
      },
    ];
    const via = { to: parsePrefix('0.0.0.0/0'), via: parseAddress('10.0.0.2'), onlink: true };
    const routes = [
      { ...via, table: 300 },
      { to: parsePrefix('fd07::/64'), table: 0xfffffff0 },
    ];
    withRtnetlink(two.b, (rtnetlink) =>
      rtnetlink.request([addressReplace(1002, parsePrefix('192.0.2.1/32'))]),
    );
    const answers = async (): Promise<number> =>
      (await ping({ netns: two.a, dst: '192.0.2.1', timeoutMs: 500 })).received;
    withRtnetlink(two.a, (rtnetlink) => {
      const ours = (): InstalledRule[] =>
        listRules(rtnetlink).filter(({ protocol }) => protocol === RTPROT_NSM);
      const add = [...routes.map((route) => routeReplace(index, route)), ...rules.map(ruleAdd)];
      rtnetlink.request(add);
      rtnetlink.request(add);
      expect(ours()).toEqual(rules.map((rule) => ({ ...rule, protocol: RTPROT_NSM })));
      expect(listRules(rtnetlink).filter(({ protocol }) => protocol === 2)).toHaveLength(5);
      expect(
        listAllRoutes(rtnetlink)
          .filter(({ table }) => table >= 300)
          .map(({ to, table }) => [formatPrefix(to), table]),
      ).toEqual([
        ['0.0.0.0/0', 300],
        ['fd07::/64', 0xfffffff0],
      ]);
      expect(listRoutes(rtnetlink, index).some(({ to }) => to.length === 0)).toBe(false);
    });
    expect(await answers()).toBe(1);
    withRtnetlink(two.a, (rtnetlink) => {
      const remove = [
        ...rules.map(ruleDelete),
        ...routes.map((route) => routeDelete(index, route)),
      ];
      rtnetlink.request(remove);
      rtnetlink.request(remove);
      expect(listRules(rtnetlink).some(({ protocol }) => protocol === RTPROT_NSM)).toBe(false);
      expect(listAllRoutes(rtnetlink).some(({ table }) => table >= 300)).toBe(false);
    });
    expect(await answers()).toBe(0);
  });

  test('make tables, of which one that never had a route has none', () => {
    const { a: index } = wire(two, { a: [], b: [] });
    withRtnetlink(two.a, (rtnetlink) => {
      rtnetlink.request([ruleAdd({ family: 4, table: 7, priority: 1 })]);
      expect(listRoutes(rtnetlink, index).filter(({ to }) => to.family === 4)).toEqual([]);
    });
  });

  test('that the kernel cannot have are refused in its words', () => {
    withRtnetlink(two.a, (rtnetlink) => {
      const dport = { start: 80, end: 65_535 };
      expect(() =>
        rtnetlink.request([ruleAdd({ family: 4, dport, table: 1, priority: 1 })]),
      ).toThrow('ip rule add dport 80-65535 table 1 priority 1: Invalid argument (EINVAL)');
    });
  });
});
