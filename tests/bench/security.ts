// What identities, tokens and policies cost: the same wires in a mesh with them, in one where every hop verifies all others
// (NSM_POLICY_SET=closed), and in one without, in turn. Run it with:
// npm run bench -- security
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPolicies, followPolicies, type Question } from '@nsm/policy';
import { parties } from '@nsm/policy/testing';
import { Connection } from '@nsm/proto';
import { cpuMs, rssMiB } from './lib/process.ts';
import { make, refresh, unmake, type Made } from './lib/requests.ts';
import { median, percentile, sum, table } from './lib/stats.ts';
import { startNetns } from '../worlds/netns.ts';

type World = Awaited<ReturnType<typeof startNetns>>;

/** Requests before the first that counts: programs that run for long have compiled what they run. */
const WARM_UP = 150;
const COUNTED = 150;
const REFRESHES = 300;

const topology = (name: string, insecure: boolean): string => `
name: ${name}
insecure: ${insecure}
nodes: { n1: {}, n2: {} }
services: { near: { payload: IP }, far: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.0.0/20] }
  nse-far: { node: n2, services: [far], prefixes: [172.17.0.0/20] }
clients:
  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }
`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`… ${text}\n`);
const cpuOf = (world: World): number => sum(world.lab.processes().map(({ pid }) => cpuMs(pid)));

let next = 0;
interface Samples {
  readonly make: number[];
  readonly refresh: number[];
  /** CPU of all processes of the mesh, in ms. */
  cpu: { make: number; refresh: number };
}

/** Makes a wire in each of the worlds in turn, so that what else the machine does hits all of them. */
async function inTurn(worlds: readonly World[], service: string): Promise<Samples[]> {
  const samples = worlds.map((): Samples => ({
    make: [],
    refresh: [],
    cpu: { make: 0, refresh: 0 },
  }));
  const held = worlds.map((): Made[] => []);
  const each = async (
    count: number,
    what: 'make' | 'refresh' | undefined,
    run: (world: World, i: number, n: number) => Promise<number>,
  ): Promise<void> => {
    const before = worlds.map(cpuOf);
    for (let n = 0; n < count; n += 1)
      for (const [i, world] of worlds.entries()) {
        const ms = await run(world, i, n);
        if (what) samples[i]?.[what].push(ms);
      }
    if (what)
      for (const [i, world] of worlds.entries())
        samples[i]!.cpu[what] = (cpuOf(world) - (before[i] ?? 0)) / count;
  };
  const makeOne = async (world: World, i: number): Promise<number> => {
    const made = await make(world, 'n1', 'a', service, next++);
    held[i]?.push(made);
    return made.ms;
  };
  await each(WARM_UP, undefined, makeOne);
  for (const [i, world] of worlds.entries()) await unmake(world, 'n1', held[i]!.splice(0));
  await each(COUNTED, 'make', makeOne);
  await each(REFRESHES, 'refresh', async (world, i, n) => {
    const { connection } = held[i]![n % COUNTED]!;
    const started = performance.now();
    await refresh(world, 'n1', connection);
    return performance.now() - started;
  });
  for (const [i, world] of worlds.entries()) await unmake(world, 'n1', held[i]!);
  return samples;
}

async function meshes(): Promise<void> {
  const worlds = [
    await startNetns(topology('bsec', false)),
    await startNetns(topology('bclo', false), { env: { NSM_POLICY_SET: 'closed' } }),
    await startNetns(topology('bins', true)),
  ];
  try {
    for (const world of worlds) await world.connected('a');
    const rows: (string | number)[][] = [];
    for (const [service, kind] of [
      ['near', 'local'],
      ['far', 'remote'],
    ] as const) {
      progress(`${kind} wires`);
      const samples = await inTurn(worlds, service);
      for (const what of ['make', 'refresh'] as const) {
        const name = `${kind}: ${what === 'make' ? 'new wire' : 'refresh'}`;
        const row = (of: string, measured: (one: Samples) => number): void => {
          const [strict = NaN, closed = NaN, open = NaN] = samples.map(measured);
          rows.push([`${name}, ${of}`, strict, closed, open, strict / open, closed / open]);
        };
        row('p50', (one) => median(one[what]));
        row('p99', (one) => percentile(one[what], 0.99));
        row('CPU of all processes', (one) => one.cpu[what]);
      }
    }
    say(
      table(
        'Request to usable interface, in ms: mutual TLS, tokens and policies against a mesh without, in turn',
        ['', 'secure', 'closed', 'insecure', 'secure / insecure', 'closed / insecure'],
        rows,
      ),
    );
    const rss = (world: World): Map<string, number> =>
      new Map(world.lab.processes().map(({ name, pid }) => [name, rssMiB(pid)]));
    const [of, closed, without] = worlds.map(rss);
    say(
      table(
        'Memory after that, in MiB of RSS',
        ['process', 'secure', 'closed', 'insecure'],
        [...without!].map(([name, mib]) => [name, of!.get(name) ?? 0, closed!.get(name) ?? 0, mib]),
      ),
    );
  } finally {
    await Promise.all(worlds.map(({ stop }) => stop()));
  }
}

/** One decision about the path of an endpoint that is far away. */
async function decisions(): Promise<void> {
  const names = ['nsc', 'mgr1', 'fwd1', 'mgr2', 'fwd2', 'nse'] as const;
  const all = parties(names);
  const hops = names.map((name) => all[name]);
  const tokens = await Promise.all(hops.map((hop, k) => hop.tokenFor(hops[k + 1] ?? hops[k - 1]!)));
  const question: Question = {
    op: 'request',
    peer: all.fwd2.peer,
    tokens,
    index: 5,
    now: Date.now(),
    connection: Connection.fromPartial({ id: 'x', networkService: 'db', labels: { tier: 'gold' } }),
  };
  const folder = mkdtempSync(join(tmpdir(), 'nsm-policies-'));
  try {
    writeFileSync(
      join(folder, 'gold.cel'),
      "op != 'request' || connection.network_service != 'db' || connection.labels['tier'] == 'gold'",
    );
    const followed = await followPolicies(folder, {
      onSet: () => undefined,
      onFault: () => undefined,
    });
    const [built, more] = [createPolicies(), createPolicies({ more: () => followed.current() })];
    const us = (check: () => void, times = 100_000): number => {
      for (let i = 0; i < times / 10; i += 1) check();
      const started = performance.now();
      for (let i = 0; i < times; i += 1) check();
      return ((performance.now() - started) / times) * 1_000;
    };
    // A reader of its own each time: nothing is known of the tokens.
    const cold = us(() => {
      createPolicies().check(question);
    }, 200);
    const plain = us(() => {
      built.check(question);
    });
    const withCel = us(() => {
      more.check(question);
    });
    followed.close();
    say(
      table(
        'One decision on a path of six hops, in µs',
        ['', 'µs'],
        [
          ['built-in rules, tokens seen for the first time', cold],
          ['built-in rules, as at every refresh', plain],
          ['and one CEL expression', withCel],
        ],
      ),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await decisions();
await meshes();
