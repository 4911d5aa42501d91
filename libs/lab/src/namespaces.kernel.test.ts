import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ping } from '@nsm/netlink';
import { createNamespaces, presentNamespaces, removeNamespaces } from './namespaces.ts';
import { parseTopology } from './parse-topology.ts';
import { planLab } from './plan.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'lab-ns-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const planOf = (cidr: string) =>
  planLab(parseTopology(`name: t\nnodes: {a: {}, b: {}}\nunderlay: {cidr: "${cidr}", mtu: 1600}`), {
    folder,
    netnsFolder: folder,
  });

describe('the namespaces of a lab', () => {
  test.each([
    ['10.90.0.0/24', ['10.90.0.1', '10.90.0.3']],
    ['fd90::/64', ['fd90::1', 'fd90::3']],
  ])('are joined by an underlay of %s', async (cidr, addresses) => {
    const plan = planOf(cidr);
    const made: Record<string, string> = {};
    createNamespaces(plan, (name, netns) => void (made[name] = netns));
    try {
      expect(presentNamespaces(plan.namespaces, made)).toHaveLength(4);
      for (const dst of addresses) {
        const answer = await ping({
          netns: `${folder}/nsm-t-a`,
          dst,
          size: 1_550,
          dontFragment: true,
        });
        expect(answer).toMatchObject({ received: 1, errors: [] });
      }
    } finally {
      removeNamespaces(plan.namespaces);
    }
    expect(readdirSync(folder)).toEqual([]);
    expect(presentNamespaces(plan.namespaces, made)).toEqual([]);
  });

  test('are told of one by one, so that half of them can be removed', () => {
    const plan = planOf('10.90.0.0/24');
    const made: string[] = [];
    const stop = (name: string): void => {
      made.push(name);
      if (made.length === 2) throw new Error('enough');
    };
    expect(() => createNamespaces(plan, stop)).toThrow('enough');
    expect(made).toEqual(['underlay', 'registry']);
    removeNamespaces(plan.namespaces);
    expect(readdirSync(folder)).toEqual([]);
  });
});
