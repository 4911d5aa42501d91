import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openLab } from './lab.ts';
import { parseTopology } from './parse-topology.ts';
import { type Program, startOrder } from './planned.ts';
import type { Programs } from './programs.ts';
import { type LabOptions, startLab } from './start-lab.ts';

const topology = parseTopology(`
name: t
insecure: true
nodes: { a: {} }
services: { web: { matches: [{ routes: [{ destination_selector: { x: y } }] }] } }
endpoints: { shop: { node: a, services: [web] } }
clients: { alice: { node: a, services: [kernel://web/nsm-1, kernel://web/nsm-2] } }
`);
const standIn = [
  process.execPath,
  '--conditions=source',
  fileURLToPath(new URL('./testing.ts', import.meta.url)),
];
const programs = Object.fromEntries(
  startOrder.map((program) => [program, [...standIn, program]]),
) as unknown as Programs;

const cache = mkdtempSync(join(tmpdir(), 'lab-cache-'));
afterAll(() => rmSync(cache, { recursive: true, force: true }));
let root = '';
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'lab-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

const start = (options: LabOptions = {}) =>
  startLab(topology, {
    places: { stateRoot: join(root, 'lab'), netnsFolder: join(root, 'netns') },
    programs,
    // Starting many small processes is mostly compiling.
    env: () => ({ NODE_COMPILE_CACHE: cache }),
    ...options,
  });
/** One program misbehaves. */
const manner = (which: Program, how: string): LabOptions => ({
  env: ({ program }) => ({
    NODE_COMPILE_CACHE: cache,
    ...(program === which && { STAND_IN: how }),
  }),
});
const remains = (): string[] =>
  readdirSync(root, { recursive: true })
    .map(String)
    .filter((name) => name !== 'netns');

describe('a lab', () => {
  test('runs each process in its namespace and answers for it', async () => {
    const lab = await start();
    expect(lab.processes().map(({ name, alive }) => `${name} ${alive}`)).toEqual(
      ['registry', 'nsmgr-a', 'forwarder-a', 'shop', 'alice'].map((name) => `${name} true`),
    );
    const { stdout } = await lab.exec('alice', ['/bin/cat', '/proc/self/net/dev']);
    expect(stdout).not.toContain('eth0');
    const echo = await lab.exec('a', ['/bin/cat'], { input: 'hello' });
    expect(echo).toEqual({ code: 0, signal: null, stdout: 'hello', stderr: '' });
    await expect(lab.exec('a', ['/no/such'])).rejects.toMatchObject({ code: 'not-found' });
    await expect(lab.exec('mars', ['true'])).rejects.toThrow('no pod or node "mars"');
    expect(lab.addresses('a')[0]).toMatchObject({ name: 'eth0', addresses: ['10.90.0.2/24'] });
    expect(await lab.ping('a', '10.90.0.1')).toMatchObject({ received: 1 });
    expect(await lab.waitConnected('alice')).toEqual([
      { connection: 'alice-0', service: 'kernel://web/nsm-1', ms: 1.5 },
      { connection: 'alice-1', service: 'kernel://web/nsm-2', ms: 1.5 },
    ]);
    expect(await lab.wires()).toMatchObject([
      { client: 'alice', connection: 'alice-0', node: 'a', setupMs: 1.5, state: 'up' },
    ]);

    const census = await lab.census();
    expect(census.processes).toEqual(['alice', 'forwarder-a', 'nsmgr-a', 'registry', 'shop']);
    expect(census.strangers).toBe(0);
    expect(census.registry).toEqual({ services: ['web'], endpoints: [] });
    expect(Object.keys(census.namespaces)).toEqual(['underlay', 'registry', 'a', 'shop', 'alice']);
    expect(await lab.census()).toEqual(census);

    expect(await lab.stop()).toEqual([]);
    expect(await lab.stop()).toEqual([]);
    expect(remains()).toEqual([]);
  });

  test('restarts a process, and a registry that forgot its services', async () => {
    const lab = await start();
    const pid = () => lab.processes().find(({ name }) => name === 'registry')?.pid;
    const first = pid();
    await lab.kill('registry', 'SIGKILL');
    expect((await lab.census()).registry).toBeUndefined();
    await lab.restart('registry');
    expect(pid()).not.toBe(first);
    expect((await lab.census()).registry?.services).toEqual(['web']);
    await lab.stop();
    expect(remains()).toEqual([]);
  });

  test('can be looked at and taken down by another process', async () => {
    const lab = await start({ detached: true });
    const other = openLab(join(root, 'lab'), 't');
    expect(other.processes()).toEqual(lab.processes());
    expect(await other.waitConnected('alice')).toHaveLength(2);
    await other.stop();
    lab.detach();
    expect(remains()).toEqual([]);
    expect(lab.processes().some(({ alive }) => alive)).toBe(false);
    expect(() => openLab(join(root, 'lab'), 't')).toThrow('there is no lab "t"');
  });

  test('of a name there is only one', async () => {
    const lab = await start();
    await expect(start()).rejects.toMatchObject({
      code: 'conflict',
      hint: 'take it down with: nsm lab down t',
    });
    expect(lab.processes().every(({ alive }) => alive)).toBe(true);
    await lab.stop();
  });

  test('ends what was left running in its namespaces', async () => {
    const lab = await start();
    const child = lab.spawn('alice', ['/bin/sh', '-c', 'trap "" TERM; sleep 1000 & wait; wait'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
    await new Promise((resolve) => child.once('spawn', resolve));
    await lab.stop();
    expect(await ended).not.toBeNull();
    expect(remains()).toEqual([]);
  });

  test('kills a process that does not stop, and says so', async () => {
    const lab = await start({ ...manner('forwarder', 'stubborn'), limits: { stopMs: 200 } });
    expect(await lab.stop()).toEqual(['forwarder-a']);
    expect(remains()).toEqual([]);
  });

  test('that cannot start says why and leaves nothing', async () => {
    await expect(start(manner('nse', 'die'))).rejects.toMatchObject({
      code: 'unavailable',
      message: 'shop ended (code 3) before it was ready; it said:\n  cannot start: told to die',
    });
    expect(remains()).toEqual([]);
  });

  test('whose process never gets ready is given up', async () => {
    await expect(
      start({ ...manner('nsmgr', 'silent'), limits: { startMs: 5_000 } }),
    ).rejects.toMatchObject({ code: 'deadline', message: 'nsmgr-a was not ready in time' });
    expect(remains()).toEqual([]);
  });

  test('whose program is missing says which', async () => {
    const missing = { ...programs, nsc: ['/no/such/nsc'] };
    await expect(start({ programs: missing })).rejects.toMatchObject({
      code: 'not-found',
      hint: 'the program is /no/such/nsc',
    });
    expect(remains()).toEqual([]);
  });

  test('can be cancelled on its way up', async () => {
    const cancel = new AbortController();
    const onProgress = (step: string) => {
      if (step.includes('forwarder')) cancel.abort();
    };
    await expect(start({ signal: cancel.signal, onProgress })).rejects.toThrow();
    expect(remains()).toEqual([]);
  });

  test('keeps its logs where it is told to', async () => {
    const logFolder = join(root, 'logs');
    const lab = await start({ logFolder });
    await lab.stop();
    expect(existsSync(join(root, 'lab'))).toBe(false);
    expect(readFileSync(join(logFolder, 'alice.log'), 'utf8')).toContain('"msg":"connected"');
  });
});
