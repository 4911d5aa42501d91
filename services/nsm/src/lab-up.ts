import { type Lab, readTopology, startLab, type Topology } from '@nsm/lab';
import type { Command } from './command.ts';
import { inOwn } from './reexec.ts';
import { allWell, pingWires, wireTable } from './report.ts';
import { endSignal } from './signals.ts';
import { places } from './which-lab.ts';

/** `nsm lab up FILE` */
export const labUp: Command = {
  name: 'lab up',
  synopsis: 'FILE',
  summary: 'Brings up the lab a topology file describes, and leaves it running.',
  details: `
Every node and every pod becomes a network namespace (nsm-LAB-NAME, which "ip netns" shows to root); the registry and each
node's manager and forwarder are real processes in them. Returns when all wires are up. Without root, everything runs
inside a user namespace.

The exit code is 1 when a wire does not come up (the lab is taken down then) or does not carry packets (it stays).`,
  options: {},
  arity: [1, 1],
  run: async ({ positionals: [file = ''] }) => {
    const topology = readTopology(file);
    const elsewhere = inOwn(places());
    if (elsewhere !== undefined) return elsewhere;
    const lab = await bringUp(topology, { detached: true, signal: endSignal() });
    if (lab === undefined) return INTERRUPTED;
    const wires = await pingWires(lab);
    process.stdout.write(`\n${wireTable(wires)}\n`);
    process.stdout.write(
      `The lab "${lab.name}" is up. Take it down with: ${nsm()} lab down ${lab.name}\n`,
    );
    lab.detach();
    return allWell(lab, wires) ? 0 : 1;
  },
};

/** How this program was called, for commands a person may copy. */
export const nsm = (): string => process.env['NSM_COMMAND'] ?? 'nsm';

/** The exit code after a Ctrl-C, as shells have it. */
export const INTERRUPTED = 130;

/**
 * Starts a lab and waits for all of its wires; takes it down when that fails. Says on stderr what it is doing. Undefined when the
 * signal came first: then nothing is left.
 */
export async function bringUp(
  topology: Topology,
  options: { readonly detached: boolean; readonly signal: AbortSignal },
): Promise<Lab | undefined> {
  const { signal } = options;
  const onProgress = (step: string): void => void process.stderr.write(`${step} ...\n`);
  let lab: Lab | undefined;
  try {
    lab = await startLab(topology, { ...options, places: places(), onProgress });
    onProgress('waiting for the wires');
    const started = lab;
    await Promise.all(
      Object.keys(started.plan.wires).map((client) =>
        started.waitConnected(client, undefined, { signal }),
      ),
    );
    return started;
  } catch (error) {
    if (lab !== undefined) await takeDown(lab);
    if (!signal.aborted) throw error;
    if (lab === undefined) process.stderr.write('interrupted; nothing is left\n');
    return undefined;
  }
}

/** Stops a lab and says so on stderr. */
export async function takeDown(lab: Lab): Promise<void> {
  process.stderr.write('taking everything down ...\n');
  const killed = await lab.stop();
  const note = killed.length === 0 ? '' : ` (killed: ${killed.join(', ')})`;
  process.stderr.write(`nothing is left${note}\n`);
}
