import type { Lab, LabProcess } from '@nsm/lab';
import { type Command, UsageError } from './command.ts';
import { printPing } from './ping.ts';
import { besides, exitCode } from './reexec.ts';
import { type PingedWire, pingWires, wireTable } from './report.ts';
import { type Column, green, red, table } from './table.ts';
import { labWithPod, places, whichLab } from './which-lab.ts';

const WHICH = `NAME is the lab's, or its topology file; without one, the only lab that is up is meant.`;

/** `nsm lab inspect [NAME|FILE]` */
export const labInspect: Command = {
  name: 'lab inspect',
  synopsis: '[NAME|FILE] [-o table|json]',
  summary: 'Shows the wires and the processes of a lab, and pings through every wire, both ways.',
  details: `
${WHICH}

-o json prints {"name", "wires": [...], "processes": [...]}. A wire has the fields of "nsm get connections -o json" and
"pings": [{"from", "to", "rttMs": number or null, "error": text or null}]; a process has "name", "program", "namespace",
"pid", "alive", "log".`,
  options: { output: { type: 'string', short: 'o' } },
  arity: [0, 1],
  run: async (call) => {
    const output = call.text('output') ?? 'table';
    if (output !== 'table' && output !== 'json')
      throw new UsageError(`-o ${output}: allowed are table and json`, labInspect);
    const lab = whichLab(call.positionals[0]);
    return besides(lab, places()) ?? inspect(lab, output);
  },
};

/** `nsm lab down [NAME|FILE]` */
export const labDown: Command = {
  name: 'lab down',
  synopsis: '[NAME|FILE]',
  summary: 'Takes a lab down: processes, namespaces, sockets and files. Nothing is left.',
  details: WHICH,
  options: {},
  arity: [0, 1],
  run: async ({ positionals: [name] }) => {
    const lab = whichLab(name);
    const elsewhere = besides(lab, places());
    if (elsewhere !== undefined) return elsewhere;
    const killed = await lab.stop();
    for (const process_ of killed)
      process.stderr.write(`${process_} did not stop and was killed\n`);
    process.stdout.write(`The lab "${lab.name}" is down.\n`);
    return 0;
  },
};

/** `nsm lab exec POD -- CMD...` */
export const labExec: Command = {
  name: 'lab exec',
  synopsis: 'POD [--lab NAME] -- COMMAND [ARGUMENT ...]',
  summary: 'Runs a command inside the network namespace of a pod or a node.',
  details: `
POD is an endpoint, a client, a node, "registry" or "underlay". The exit code is that of the command.`,
  options: { lab: { type: 'string' } },
  arity: [2, Number.MAX_SAFE_INTEGER],
  run: async (call) => {
    const [pod = '', ...argv] = call.positionals;
    const lab = labWithPod(pod, call.text('lab'));
    return besides(lab, places()) ?? execute(lab, pod, argv);
  },
};

/** `nsm lab ping POD ADDRESS` */
export const labPing: Command = {
  name: 'lab ping',
  synopsis: 'POD ADDRESS [-c COUNT] [--lab NAME]',
  summary: 'Pings an address from a pod. Needs no ping program.',
  details: 'The exit code is 1 when there was no answer.',
  options: { lab: { type: 'string' }, count: { type: 'string', short: 'c' } },
  arity: [2, 2],
  run: async (call) => {
    const [pod = '', address = ''] = call.positionals;
    const count = Number(call.text('count') ?? 3);
    if (!Number.isInteger(count) || count < 1)
      throw new UsageError('-c takes a whole number from 1 up', labPing);
    const lab = labWithPod(pod, call.text('lab'));
    return besides(lab, places()) ?? ping(lab, { pod, address, count });
  },
};

async function inspect(lab: Lab, output: 'table' | 'json'): Promise<number> {
  const wires = await pingWires(lab);
  const processes = lab.processes();
  lab.detach();
  process.stdout.write(
    output === 'json'
      ? `${JSON.stringify({ name: lab.name, wires: wires.map(withSetup), processes }, null, 2)}\n`
      : `${wireTable(wires)}\n${table(processColumns, processes)}`,
  );
  return 0;
}

/** JSON has every field in every entry. */
const withSetup = (wire: PingedWire) => ({ ...wire, setupMs: wire.setupMs ?? null });

const processColumns: readonly Column<LabProcess>[] = [
  { title: 'PROCESS', cell: ({ name }) => name },
  { title: 'PROGRAM', cell: ({ program }) => program },
  { title: 'NAMESPACE', cell: ({ namespace }) => namespace },
  { title: 'PID', cell: ({ pid }) => String(pid), align: 'right' },
  {
    title: 'STATE',
    cell: ({ alive }) => (alive ? 'running' : 'ended'),
    paint: (text, { alive }) => (alive ? green(text) : red(text)),
  },
  { title: 'LOG', cell: ({ log }) => log },
];

async function execute(lab: Lab, pod: string, argv: readonly string[]): Promise<number> {
  const child = lab.spawn(pod, argv, { stdio: 'inherit' });
  // A Ctrl-C reaches the command by itself; it decides what to do about it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => void child.kill('SIGTERM'));
  const { promise, resolve } = Promise.withResolvers<number>();
  child.once('error', ({ message }) => {
    process.stderr.write(`nsm: ${argv[0] ?? ''} cannot be started: ${message}\n`);
    resolve(127);
  });
  child.once('exit', (code, signal) => resolve(exitCode(code, signal)));
  return promise;
}

async function ping(
  lab: Lab,
  { pod, address, count }: { pod: string; address: string; count: number },
): Promise<number> {
  return printPing(await lab.ping(pod, address, { count }));
}
