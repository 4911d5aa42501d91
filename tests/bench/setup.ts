// How long wires take, what they cost, and what they carry: the table of the README. Run it with: npm run bench -- setup
import { elementTimes } from './lib/elements.ts';
import { startFloor, vethFloor, type Floor } from './lib/floor.ts';
import { handMadeVeth, handMadeVxlan } from './lib/hand-made.ts';
import { cpuMs, pssMiB, rssMiB } from './lib/process.ts';
import { make, unmake, type Made } from './lib/requests.ts';
import { median, percentile, sum, table } from './lib/stats.ts';
import { rtt, throughput } from './lib/throughput.ts';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';

/** Requests before the first that counts: programs that run for long have compiled what they run. */
const WARM_UP = 400;
const SEQUENTIAL = 200;
const AT_ONCE = 50;
const MANY = 1_000;
const PATH_ROUNDS = 9;

const LARGE_POOLS = '[172.16.0.0/20]';
const topology = (
  name: string,
  clients = '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }',
  env = '',
): string => `
name: ${name}
nodes: { n1: {${env}}, n2: {${env}} }
services: { near: { payload: IP }, far: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: ${LARGE_POOLS}${env === '' ? '' : `,${env}`} }
  nse-far: { node: n2, services: [far], prefixes: [172.17.0.0/20]${env === '' ? '' : `,${env}`} }
clients:
${clients}
`;
type World = Awaited<ReturnType<typeof startNetns>>;
const NAMES = { near: 'local', far: 'remote' } as const;
/** Calls from process to process that a Request takes. */
const HOPS = { near: 3, far: 5 } as const;
const kinds = Object.entries(NAMES) as ['near' | 'far', string][];

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`… ${text}\n`);
const pids = (world: World): Map<string, number> =>
  new Map(world.lab.processes().map(({ name, pid }) => [name, pid]));
const readAll = (world: World, read: (pid: number) => number): Map<string, number> =>
  new Map([...pids(world)].map(([name, pid]) => [name, read(pid)]));

let next = 0;
const makeMany = async (
  world: World,
  service: string,
  count: number,
  parallel: number,
): Promise<Made[]> => {
  const made: Made[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) made.push(await make(world, 'n1', 'a', service, next++));
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return made;
};

/** Requests one after the other, each followed by a call that does nothing. */
async function inTurn(
  world: World,
  floor: Floor,
  service: string,
  count: number,
): Promise<{ made: Made[]; calls: number[] }> {
  const made: Made[] = [];
  const calls: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const one = await make(world, 'n1', 'a', service, next++);
    made.push(one);
    calls.push(await floor.call(one.connection));
  }
  return { made, calls };
}

/** Request to usable interface, from a client that runs already. */
async function latency(world: World, floor: Floor): Promise<void> {
  const rows: (string | number)[][] = [];
  const cpu: (string | number)[][] = [];
  for (const [service, kind] of kinds) {
    await unmake(world, 'n1', (await inTurn(world, floor, service, WARM_UP)).made);
    const before = readAll(world, cpuMs);
    const { made: sequential, calls } = await inTurn(world, floor, service, SEQUENTIAL);
    await unmake(world, 'n1', sequential);
    const used = readAll(world, cpuMs);
    const times = sequential.map(({ ms }) => ms);
    const least = HOPS[service] * median(calls) + vethFloor(world.lab, 'a', 'nse-near');
    rows.push([
      `${kind}, one after the other (${SEQUENTIAL})`,
      median(times),
      percentile(times, 0.99),
      '',
      least,
      median(times) / least,
    ]);
    for (const [name, ms] of used) {
      const each = (ms - (before.get(name) ?? 0)) / SEQUENTIAL;
      if (each >= 0.05) cpu.push([`${kind}: ${name}`, each]);
    }
    const started = performance.now();
    const together = await makeMany(world, service, AT_ONCE, AT_ONCE);
    const all = performance.now() - started;
    const burst = together.map(({ ms }) => ms);
    rows.push([`${kind}, ${AT_ONCE} at once`, median(burst), percentile(burst, 0.99), all, '', '']);
    await unmake(world, 'n1', together);
  }
  say(
    table(
      'Request to usable interface, in ms (floor: as many calls that do nothing, made in turn with these, and one veth pair by hand)',
      ['wire', 'p50', 'p99', 'all up', 'floor', 'p50 / floor'],
      rows,
    ),
  );
  say(table('CPU for one request and its close, in ms', ['wire: process', 'CPU'], cpu));
}

/** What a thousand wires cost: memory of each process, and time of the last hundred against the first. */
async function thousand(world: World): Promise<void> {
  const idle = readAll(world, rssMiB);
  const made: Made[] = [];
  for (let i = 0; i < MANY; i += 1)
    made.push(await make(world, 'n1', 'a', i % 2 === 0 ? 'near' : 'far', next++));
  const held = readAll(world, rssMiB);
  const share = readAll(world, pssMiB);
  const times = made.map(({ ms }) => ms);
  const [first, last] = [median(times.slice(0, 100)), median(times.slice(-100))];
  say(
    table(
      `${MANY} wires (half local, half remote), made one after the other in one pod: ms per wire`,
      ['first 100, p50', 'last 100, p50', 'last / first'],
      [[first.toFixed(2), last, last / first]],
    ),
  );
  const rows = [...idle].map(([name, mib]) => [
    name,
    mib,
    held.get(name) ?? 0,
    share.get(name) ?? 0,
  ]);
  const node = ['nsmgr-n1', 'forwarder-n1'];
  const both = (of: Map<string, number>): number => sum(node.map((name) => of.get(name) ?? 0));
  say(
    table(
      'Memory, in MiB (RSS counts the pages of the node binary, some 50 MiB, once per process; PSS shares them)',
      ['process', 'RSS, 2 wires', `RSS, ${MANY + 2} wires`, `PSS, ${MANY + 2} wires`],
      [...rows, ['manager + forwarder of a node', both(idle), both(held), both(share)]],
    ),
  );
  await unmake(world, 'n1', made);
}

/** The packet path against one made by hand, in turn. */
async function path(world: World): Promise<void> {
  const { lab } = world;
  const wires = await lab.wires();
  const addressOf = (endpoint: string): string =>
    wires
      .find((wire) => wire.client === 'a' && wire.endpoint === endpoint)
      ?.endpointAddresses[0]?.split('/')[0] ?? '';
  const ip = (node: string): string =>
    lab.plan.underlay.ports.find(({ namespace }) => namespace === node)?.address.split('/')[0] ??
    '';
  const pairs = [
    {
      kind: 'local: veth',
      pod: 'nse-near',
      wire: addressOf('nse-near'),
      hand: handMadeVeth(lab, 'a', 'nse-near'),
    },
    {
      kind: 'remote: VXLAN',
      pod: 'nse-far',
      wire: addressOf('nse-far'),
      hand: handMadeVxlan(lab, [
        { node: 'n1', pod: 'a', ip: ip('n1'), peer: ip('n2') },
        { node: 'n2', pod: 'nse-far', ip: ip('n2'), peer: ip('n1') },
      ]),
    },
  ];
  const rows: (string | number)[][] = [];
  for (const { kind, pod, wire, hand } of pairs) {
    const gbit: { wire: number; hand: number }[] = [];
    const ms: { wire: number; hand: number }[] = [];
    for (let i = 0; i < PATH_ROUNDS; i += 1) {
      gbit.push({
        wire: (await throughput(lab, 'a', pod, wire)) / 1e9,
        hand: (await throughput(lab, 'a', pod, hand)) / 1e9,
      });
      ms.push({ wire: await rtt(lab, 'a', wire), hand: await rtt(lab, 'a', hand) });
    }
    const ratio = (samples: typeof gbit): number => median(samples.map((s) => s.wire / s.hand));
    rows.push([
      kind,
      median(gbit.map((s) => s.wire)),
      median(gbit.map((s) => s.hand)),
      ratio(gbit),
      median(ms.map((s) => s.wire)) * 1e3,
      median(ms.map((s) => s.hand)) * 1e3,
      ratio(ms),
    ]);
  }
  say(
    table(
      `TCP throughput in Gbit/s and ping RTT in µs, against the same link made by hand (median of ${PATH_ROUNDS} pairs)`,
      ['path', 'TCP, wire', 'TCP, by hand', 'ratio', 'RTT, wire', 'RTT, by hand', 'ratio'],
      rows,
    ),
  );
}

async function withWorld(yaml: string, use: (world: World) => Promise<void>): Promise<void> {
  const world = await startNetns(yaml);
  try {
    await use(world);
  } finally {
    await world.stop();
  }
}

progress('latency, memory and packet path');
await withWorld(topology('bset'), async (world) => {
  await world.connected('a');
  const floor = await startFloor();
  try {
    await latency(world, floor);
  } finally {
    floor.close();
  }
  await path(world);
  await thousand(world);
});

progress('where the time goes');
await withWorld(topology('belem', undefined, ' env: { NSM_LOG_LEVEL: debug } '), async (world) => {
  await world.connected('a');
  for (const [service, kind] of kinds) {
    await unmake(world, 'n1', await makeMany(world, service, 20, 1));
    const since = Date.now();
    const made = await makeMany(world, service, 50, 1);
    await unmake(world, 'n1', made);
    say(elementTimes(world.lab, kind, since, median(made.map(({ ms }) => ms))));
  }
});

progress(`${AT_ONCE} client processes`);
const clients = Array.from(
  { length: AT_ONCE },
  (_, i) =>
    `  c${i}: { node: n${(i % 2) + 1}, services: [kernel://${i % 4 < 2 ? 'near' : 'far'}/nsm-1] }`,
).join('\n');
await withWorld(twoNodes('bcli', clients), async (world) => {
  const names = Array.from({ length: AT_ONCE }, (_, i) => `c${i}`);
  for (const name of names) await world.connected(name);
  const rss = names.map((name) => rssMiB(pids(world).get(name) ?? 0));
  for (const name of names) await world.end(name);
  const started = performance.now();
  await Promise.all(names.map((name) => world.start(name)));
  await Promise.all(names.map((name) => world.connected(name)));
  const all = performance.now() - started;
  const setups = (await world.lab.wires()).flatMap(({ setupMs }) =>
    setupMs === undefined ? [] : [setupMs],
  );
  say(
    table(
      `${AT_ONCE} client processes started at once`,
      ['', 'ms'],
      [
        ['from the first start to the last wire up', all],
        ['Request to usable interface, p50', median(setups)],
        ['Request to usable interface, p99', percentile(setups, 0.99)],
      ],
    ),
  );
  say(
    table(
      'Resident memory of a client process, in MiB',
      ['', 'MiB'],
      [
        ['median', median(rss)],
        ['largest', Math.max(...rss)],
      ],
    ),
  );
});
