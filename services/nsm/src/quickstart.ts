import { fileURLToPath } from 'node:url';
import { type Lab, listLabs, openLab, readTopology } from '@nsm/lab';
import type { Command } from './command.ts';
import { bringUp, INTERRUPTED, nsm, takeDown } from './lab-up.ts';
import { inOwn } from './reexec.ts';
import { allWell, bare, type PingedWire, pingWires, wireTable } from './report.ts';
import { endSignal, untilAborted } from './signals.ts';
import { bold } from './table.ts';
import { places } from './which-lab.ts';

/** The same place from the sources and from the bundle. */
export const QUICKSTART = fileURLToPath(new URL('../topologies/quickstart.yaml', import.meta.url));

/** `nsm quickstart [--once]` */
export const quickstart: Command = {
  name: 'quickstart',
  synopsis: '[--once]',
  summary: 'Brings up a small mesh of two nodes, shows it working, and takes it down on Ctrl-C.',
  details: `
  --once   take it down at once; the exit code is 1 when a ping through a wire got lost

Two nodes, each with a manager and a forwarder, an endpoint on each, one client with a wire on its own node and one with
a wire to the other. Needs Linux and nothing else; without root, everything runs inside a user namespace.`,
  options: { once: { type: 'boolean' } },
  arity: [0, 0],
  run: async (call) => {
    const elsewhere = inOwn(places());
    if (elsewhere !== undefined) return elsewhere;
    return show(call.flag('once'));
  },
};

async function show(once: boolean): Promise<number> {
  const end = endSignal();
  const started = performance.now();
  const topology = readTopology(QUICKSTART);
  await removeOrphan(topology.name);
  const lab = await bringUp(topology, { detached: false, signal: end });
  if (lab === undefined) return INTERRUPTED;
  try {
    const wires = await pingWires(lab);
    const took = ((performance.now() - started) / 1_000).toFixed(1);
    process.stdout.write(`\n${wireTable(wires)}\n`);
    const well = allWell(lab, wires);
    const verdict = well ? 'Every wire carries packets both ways' : 'Not every wire works';
    process.stdout.write(`${bold(`${verdict}. Up in ${took} s.`)}\n`);
    if (!once) {
      process.stdout.write(nextSteps(lab, wires));
      await untilAborted(end);
    }
    return well ? 0 : 1;
  } finally {
    await takeDown(lab);
  }
}

/** A lab of before whose holder was killed is taken down; one that is in use is refused by the start. */
async function removeOrphan(name: string): Promise<void> {
  const { stateRoot } = places();
  if (!listLabs(stateRoot).includes(name)) return;
  const orphan = openLab(stateRoot, name);
  if (orphan.held()) {
    orphan.detach();
    return;
  }
  process.stderr.write('removing what is left of an earlier run ...\n');
  await orphan.stop();
}

function nextSteps(lab: Lab, wires: readonly PingedWire[]): string {
  const [wire] = wires;
  const steps: readonly (readonly [string, string])[] = [
    [`lab inspect ${lab.name}`, 'this table with fresh pings, and the processes'],
    ['get endpoints', 'what the registry knows'],
    ['get connections -o wide', 'the wires with their paths'],
    ...(wire === undefined
      ? []
      : ([
          [
            `lab ping ${wire.client} ${bare(wire.endpointAddresses[0] ?? '')}`,
            'ping through a wire',
          ],
          [
            `lab exec ${wire.client} -- cat /proc/net/dev`,
            'run any command in a pod; here: its interfaces',
          ],
        ] as const)),
    ['lab --help', 'labs of your own, from a topology file'],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  const lines = steps.map(([command, what]) => `  ${nsm()} ${command.padEnd(width)}   ${what}`);
  return `\nTry next, in another terminal:\n${lines.join('\n')}\n\nCtrl-C takes everything down.\n`;
}
