import type { Change, PolicyRule } from './kernel.ts';

/** The rules of a namespace in memory. Like the kernel's, they know nothing of links. */
export interface FakeRules {
  list(): PolicyRule[];
  /** One that is there stays the only one, and one that is gone is no error. */
  apply(change: Extract<Change, { rule: unknown }>): void;
}

export function createFakeRules(): FakeRules {
  const rules = new Map<string, PolicyRule>();
  return {
    list: () => [...rules.values()],
    apply: ({ op, rule }) => {
      const { family, from, proto, srcPorts, dstPorts, table, priority } = rule;
      const key = JSON.stringify([family, from, proto, srcPorts, dstPorts, table, priority]);
      if (op === 'no-rule') rules.delete(key);
      else if (!rules.has(key)) rules.set(key, { ...rule, ours: true });
    },
  };
}
