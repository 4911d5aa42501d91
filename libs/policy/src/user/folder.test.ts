import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Connection, NetworkServiceEndpoint } from '@nsm/proto';
import { createPolicies } from '../policies.ts';
import type { Question } from '../question.ts';
import { parties } from '../testing.ts';
import { followPolicies, type PolicyFolder } from './folder.ts';

const { 'acme/client': client, manager } = parties(['acme/client', 'manager']);
let folder: string;
let followed: PolicyFolder | undefined;
let told: (readonly string[] | string)[];
let wake: () => void;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'policies-'));
  told = [];
  wake = () => undefined;
});
afterEach(() => {
  followed?.close();
  rmSync(folder, { recursive: true });
});

const put = (file: string, text: string): void => {
  writeFileSync(join(folder, `.${file}`), text);
  renameSync(join(folder, `.${file}`), join(folder, file));
};
const tell = (what: readonly string[] | string): void => {
  told.push(what);
  wake();
};
const follow = async (): Promise<void> => {
  followed = await followPolicies(folder, { onSet: tell, onFault: tell });
};
/** Waits for what is told of the folder. */
const until = async (passes: (what: readonly string[] | string) => boolean): Promise<void> => {
  while (!told.some(passes)) await new Promise<void>((resolve) => (wake = resolve));
  told = [];
};

const asked = async (change: Partial<Question> = {}): Promise<Question> => ({
  op: 'request',
  peer: client.peer,
  tokens: [await client.tokenFor(manager), await manager.tokenFor(client)],
  index: 1,
  now: Date.now(),
  connection: Connection.fromPartial({
    id: 'c',
    networkService: 'db.acme',
    labels: { tier: 'gold' },
    mechanism: { cls: 'LOCAL', type: 'KERNEL', parameters: { name: 'nsm-1' } },
    path: {
      index: 1,
      pathSegments: [
        { name: 'nsc', id: 'a' },
        { name: 'mgr', id: 'c' },
      ],
    },
  }),
  ...change,
});
const refusal = async (change?: Partial<Question>): Promise<string | undefined> => {
  const question = await asked(change);
  try {
    createPolicies({ more: () => followed?.current() ?? [] }).check(question);
    return undefined;
  } catch (err) {
    return (err as Error).message;
  }
};

describe('an expression', () => {
  const allows = async (text: string, change?: Partial<Question>): Promise<string | undefined> => {
    put('rule.cel', text);
    await follow();
    return refusal(change);
  };

  test.each([
    'true',
    "op == 'request' && connection.labels['tier'] == 'gold'",
    "caller == 'spiffe://nsm.test/acme/client' && origin.startsWith('spiffe://nsm.test/')",
    "path[0].name == 'nsc' && path[1].subject.endsWith('/manager') && path.size() == 2",
    "connection.network_service.matches('^[a-z]+[.]acme$') && connection.mechanism.type == 'KERNEL'",
    "path.all(hop, hop.audience.size() == 1) && owner == ''",
    "now > timestamp('2026-01-01T00:00:00Z') && now.getFullYear() > 2000",
  ])('that is true lets a request through: %s', async (text) => {
    expect(await allows(text)).toBeUndefined();
  });

  test('that is false refuses, with its name and the comment it begins with', async () => {
    expect(await allows("// silver is sold out\nconnection.labels['tier'] != 'gold'")).toBe(
      'no sufficient privileges: rule: silver is sold out',
    );
  });

  test('that cannot be evaluated refuses', async () => {
    expect(await allows("connection.labels['nothing'] == 'x'")).toMatch(
      /rule: it cannot be evaluated: .*nothing/,
    );
  });

  test('sees what is registered', async () => {
    const entry = NetworkServiceEndpoint.fromPartial({
      name: 'web-1',
      networkServiceNames: ['web'],
      pathIds: [client.id],
    });
    const text = "entry.kind == 'NetworkServiceEndpoint' && 'web' in entry.network_service_names";
    expect(await allows(text, { op: 'register', entry })).toBeUndefined();
  });

  test.each([
    ['op = 1', /rule.cel: .*=/],
    ['nobody == 1', /rule.cel: .*nobody/],
    ["'a text'", /rule.cel: it gives a string/],
    ['', /rule.cel/],
  ])('that is none keeps a process from serving: %s', async (text, reason) => {
    put('rule.cel', text);
    await expect(follow()).rejects.toThrow(reason);
  });
});

describe('Rego', () => {
  test('compiled to WebAssembly judges what upstream’s policies do', async () => {
    copyFileSync(join(import.meta.dirname, 'fixtures/tenants.wasm'), join(folder, 'tenants.wasm'));
    await follow();
    expect(await refusal()).toBeUndefined();
    const connection = Connection.fromPartial({ id: 'c', networkService: 'db.other' });
    expect(await refusal({ connection })).toMatch(/tenants: the policy does not allow it/);
    expect(await refusal({ op: 'close', connection })).toBeUndefined();
  });

  test('that is none keeps a process from serving', async () => {
    put('rule.wasm', 'no wasm');
    await expect(follow()).rejects.toThrow(/rule.wasm/);
  });
});

describe('a folder', () => {
  test('is read again when it changes', async () => {
    await follow();
    expect(await refusal()).toBeUndefined();
    put('b.cel', 'false');
    await until((what) => what.includes('b'));
    expect(await refusal()).toMatch(/ b: /);
    put('a.cel', '// first by name\nfalse');
    await until((what) => what.includes('a') && what.includes('b'));
    expect(await refusal()).toMatch(/ a: first by name/);
    rmSync(join(folder, 'a.cel'));
    rmSync(join(folder, 'b.cel'));
    await until((what) => what.length === 0);
    expect(await refusal()).toBeUndefined();
  });

  test('with a broken file leaves all policies as they were, and says so', async () => {
    put('a.cel', 'false');
    await follow();
    put('b.cel', 'no ( expression');
    rmSync(join(folder, 'a.cel'));
    await until((what) => typeof what === 'string' && /b\.cel.*stay in force/s.test(what));
    expect(await refusal()).toMatch(/ a: /);
    put('b.cel', 'true');
    await until((what) => what.length === 1 && what.includes('b'));
    expect(await refusal()).toBeUndefined();
  });

  test('that is not there keeps a process from serving', async () => {
    await expect(
      followPolicies(join(folder, 'none'), { onSet: tell, onFault: tell }),
    ).rejects.toThrow(/ENOENT/);
  });
});
