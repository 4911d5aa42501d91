import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { NetworkServiceEndpoint } from '@nsm/proto';
import { openSqliteStores } from './sqlite-store.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'nsm-store-'));
  path = join(dir, 'registry.db');
});
afterEach(() => rmSync(dir, { recursive: true }));

const nse = (name: string, url = ''): NetworkServiceEndpoint =>
  NetworkServiceEndpoint.create({
    name,
    url,
    networkServiceNames: ['s'],
    networkServiceLabels: { s: { labels: { a: 'b' } } },
    expirationTime: { seconds: 1_700_000_000, nanos: 5 },
  });

describe('a store in a file', () => {
  test('has after a reopening what it had before', async () => {
    const first = openSqliteStores(path);
    await Promise.all([first.endpoints.put(nse('a')), first.endpoints.put(nse('b'))]);
    await first.endpoints.put(nse('a', 'x'));
    await first.services.put({ name: 'web', payload: 'IP', matches: [], pathIds: ['p'] });
    expect(await first.endpoints.delete('b')).toEqual(nse('b'));
    expect(await first.endpoints.delete('b')).toBeUndefined();
    await first.close();

    const second = openSqliteStores(path);
    expect(second.endpoints.list()).toEqual([nse('a', 'x')]);
    expect(second.services.list()).toEqual([
      { name: 'web', payload: 'IP', matches: [], pathIds: ['p'] },
    ]);
    expect(second.endpoints.revision).toBe(3);
    await second.endpoints.put(nse('c'));
    expect(second.endpoints.revision).toBe(7); // one count for both kinds, and it never goes back
    await second.close();
  });

  test('tells watchers of a write once it is kept, in order', async () => {
    const stores = openSqliteStores(path);
    const watch = stores.endpoints.watch(NetworkServiceEndpoint.create());
    await Promise.all([
      stores.endpoints.put(nse('a')),
      stores.endpoints.delete('a'),
      stores.endpoints.put(nse('a', 'again')),
    ]);
    await stores.close();
    const told: unknown[] = [];
    for await (const change of watch.changes(new AbortController().signal)) told.push(change);
    expect(told).toEqual([
      { entry: nse('a'), deleted: false },
      { entry: nse('a'), deleted: true },
      { entry: nse('a', 'again'), deleted: false },
    ]);
  });

  test('belongs to one process at a time', async () => {
    const stores = openSqliteStores(path);
    expect(() => openSqliteStores(path)).toThrow('database is locked');
    await stores.close();
    await openSqliteStores(path).close();
  });

  test('is not opened where there is no folder', () => {
    expect(() => openSqliteStores(join(dir, 'none', 'x.db'))).toThrow('cannot be opened');
  });

  test('refuses writes after it was closed', async () => {
    const stores = openSqliteStores(path);
    await stores.close();
    await expect(stores.endpoints.put(nse('a'))).rejects.toMatchObject({ code: 'unavailable' });
  });
});

/** A process that writes endpoints as fast as it can, 20 at a time, and prints what was acknowledged and refused. */
const WRITER = `
  const { openSqliteStores } = await import(process.env.STORE_MODULE);
  const { NetworkServiceEndpoint } = await import('@nsm/proto');
  const { endpoints } = openSqliteStores(process.env.STORE_PATH);
  const url = 'x'.repeat(500);
  for (let n = 0; ; n += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => {
      const name = 'n' + (n + i);
      return endpoints.put(NetworkServiceEndpoint.create({ name, url })).then(
        () => process.stdout.write('kept ' + name + '\\n'),
        (err) => process.stdout.write('refused ' + err.code + ' ' + name + ' ' + (endpoints.get(name) === undefined) + '\\n'),
      );
    }));
  }
`;

/** Runs the writer until a line makes `enough` true, kills it with SIGKILL, and returns all of its lines. */
async function killedWriter(shell: string, enough: (line: string) => boolean): Promise<string[]> {
  const node = `exec "${process.execPath}" --conditions=source --disable-warning=ExperimentalWarning --input-type=module -e "$WRITER"`;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn('sh', ['-c', `${shell}${node}`], {
    cwd: import.meta.dirname,
    env: {
      ...env,
      WRITER,
      STORE_PATH: path,
      STORE_MODULE: new URL('./sqlite-store.ts', import.meta.url).href,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  const lines: string[] = [];
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (enough(line)) child.kill('SIGKILL');
  }
  await exited;
  if (lines.length === 0) throw new Error(errors);
  return lines;
}

test('a registry that is killed has kept all it acknowledged', async () => {
  let count = 0;
  const lines = await killedWriter('', () => (count += 1) > 2_000);
  const kept = lines.map((line) => line.split(' ')[1] ?? '');
  const stores = openSqliteStores(path);
  expect(kept.length).toBeGreaterThan(2_000);
  expect(kept.filter((name) => stores.endpoints.get(name)?.url.length !== 500)).toEqual([]);
  await stores.close();
}, 30_000);

test('a disk that takes no more refuses, and what was refused is not there', async () => {
  // No file of this process may grow beyond 512 blocks; the write then fails as on a full disk.
  let refusals = 0;
  const lines = await killedWriter(
    "trap '' XFSZ; ulimit -f 512; ",
    (line) => line.startsWith('refused') && (refusals += 1) > 40,
  );
  const refused = lines.filter((line) => line.startsWith('refused'));
  expect(refused.filter((line) => !/^refused unavailable \w+ true$/.test(line))).toEqual([]);
  const kept = lines.filter((line) => line.startsWith('kept')).map((line) => line.split(' ')[1]);
  const stores = openSqliteStores(path);
  expect(kept.length).toBeGreaterThan(100);
  expect(kept.filter((name) => stores.endpoints.get(name ?? '') === undefined)).toEqual([]);
  const names = refused.map((line) => line.split(' ')[2] ?? '');
  expect(names.filter((name) => stores.endpoints.get(name) !== undefined)).toEqual([]);
  await stores.close();
}, 30_000);
