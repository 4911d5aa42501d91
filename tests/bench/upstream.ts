// Our control plane beside upstream's, without data path: the same work on the same machine in turn. Needs Go.
// Run it with: npm run bench -- upstream [wires | registry]
import { compare, comparison, startSides, type Side } from './lib/sides.ts';
import { table } from './lib/stats.ts';

const SERVICES = { local: 'near', remote: 'far' } as const;
type Where = keyof typeof SERVICES;
const places = Object.keys(SERVICES) as Where[];
/** Clients at once, how many wires each asks for one after the other, and how often that is done; medians are shown. */
const LOADS = [
  { clients: 1, rounds: 40, turns: 3 },
  { clients: 50, rounds: 1, turns: 3 },
  { clients: 500, rounds: 1, turns: 1 },
] as const;
const PHASES = ['request', 'refresh', 'close'];
/** Of registries, and how many endpoints each registers. Upstream's policies take longer with each that is there: it gets few. */
const CALLERS = 20;
const [ROUNDS, FEW] = [500, 20];
const PROCESSES = 'nsmgr-n1 forwarder-n1 nsmgr-n2 forwarder-n2 nse-near nse-far registry'.split(
  ' ',
);

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`… ${text}\n`);

let runs = 0;
const wires = (side: Side, where: Where, { clients, rounds }: (typeof LOADS)[number]) =>
  side
    .load('idle', 'load', {
      NAME: `load${runs++}`,
      CONNECT_TO: side.url('nsmgr-n1'),
      NETWORK_SERVICES: `kernel://${SERVICES[where]}/nsm-1`,
      CLIENTS: clients,
      ROUNDS: rounds,
    })
    .catch((thrown: unknown) => {
      // A side that gives up under this load has no figures; the other one has.
      progress(String(thrown));
      return [];
    });

function tellFailures(of: string, lines: Awaited<ReturnType<typeof wires>>): void {
  for (const { phase, failed, why } of lines)
    if (failed > 0) say(`${of}: ${phase} failed ${failed} times: ${why.slice(0, 300)}`);
}

async function requests(ours: Side, upstream: Side): Promise<void> {
  for (const side of [ours, upstream])
    for (const where of places) await wires(side, where, LOADS[0]);
  const before = [ours.cpu(), upstream.cpu()];
  const rows: (string | number)[][] = [];
  let calls = 0;
  for (const load of LOADS)
    for (const where of places) {
      progress(`${load.clients} at once, ${where}`);
      const [a, b] = [[], []] as Awaited<ReturnType<typeof wires>>[][];
      for (let turn = 0; turn < load.turns; turn += 1) {
        a?.push(await wires(ours, where, load));
        b?.push(await wires(upstream, where, load));
        calls += PHASES.length * load.clients * load.rounds;
      }
      const measured = PHASES.map((phase) => [
        `${phase}, ${where}, ${load.clients} at once`,
        ...compare(phase, a ?? [], b ?? []),
      ]);
      rows.push(...measured);
      for (const row of measured) progress(row.join(' '));
      tellFailures(`ours, ${where}`, a?.flat() ?? []);
      tellFailures(`upstream's, ${where}`, b?.flat() ?? []);
    }
  say(table('Wires, with mutual TLS and tokens', ['', ...comparison], rows));
  const after = [ours.cpu(), upstream.cpu()];
  const memory = [ours.memory(), upstream.memory()];
  say(
    table(
      'CPU per call (half of them to the other node), and memory afterwards',
      ['process', 'CPU ms', "upstream's", 'ratio', 'resident MiB', "upstream's", 'ratio'],
      PROCESSES.map((name) => {
        const used = before.map(
          (cpu, i) => ((after[i]?.get(name) ?? 0) - (cpu.get(name) ?? 0)) / calls,
        );
        const resident = memory.map((of) => of.get(name) ?? NaN);
        return [name, ...[used, resident].flatMap(([x = NaN, y = NaN]) => [x, y, x / y])];
      }),
    ),
  );
}

async function registries(ours: Side, upstream: Side): Promise<void> {
  const beside = (port: number) => ours.url('registry').replace(/\d+$/, String(port));
  const [trusting, idle, unwatched] = [beside(6_001), beside(6_002), beside(6_003)];
  const processes = {
    unwatched: ours.startRegistry('unwatched', unwatched),
    trusting: ours.startRegistry('trusting', trusting),
    idle: ours.startRegistry('idle', idle),
  };
  const rows: (string | number)[][] = [];
  for (const [name, side, url, rounds, cpu] of [
    ['ours', ours, unwatched, ROUNDS, () => processes.unwatched.cpu()],
    [
      'ours, and two managers watch it',
      ours,
      ours.url('registry'),
      ROUNDS,
      () => ours.cpu().get('registry') ?? NaN,
    ],
    [
      "upstream's",
      upstream,
      upstream.url('registry'),
      FEW,
      () => upstream.cpu().get('registry') ?? NaN,
    ],
    ["upstream's, without policies", ours, trusting, ROUNDS, () => processes.trusting.cpu()],
    ['one of ours that does nothing', ours, idle, ROUNDS, () => processes.idle.cpu()],
  ] as const) {
    const load = (times: number) =>
      side.load('n1', 'load-registry', {
        NAME: 'load',
        CONNECT_TO: url,
        CLIENTS: CALLERS,
        ROUNDS: times,
      });
    progress(`${CALLERS * rounds} endpoints: ${name}`);
    await load(FEW);
    const before = cpu();
    for (const { phase, p50, p99, perSecond } of await load(rounds))
      rows.push([`${phase}, ${CALLERS * rounds} endpoints: ${name}`, p50, p99, perSecond]);
    rows.push([
      `CPU of a call, ms: ${name}`,
      (cpu() - before) / (PHASES.length * CALLERS * rounds),
      '',
      '',
    ]);
  }
  say(table(`Registries, ${CALLERS} callers at once`, ['', 'p50 ms', 'p99 ms', 'per s'], rows));
}

const [, , what] = process.argv;
progress('starting both');
const { ours, upstream } = await startSides();
try {
  if (what !== 'registry') await requests(ours, upstream);
  if (what !== 'wires') await registries(ours, upstream);
} finally {
  await ours.stop();
  await upstream.stop();
}
