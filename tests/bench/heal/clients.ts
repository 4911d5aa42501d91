import { readFileSync } from 'node:fs';
import { eventually } from '../../worlds/world.ts';
import { cpuMs } from '../lib/process.ts';
import { sum } from '../lib/stats.ts';
import { allUp, counting, LEASE, residueLeft, type Mesh } from './mesh.ts';
import { wireTo } from './moves.ts';
import type { Scenario } from './scenario.ts';

const AT_ONCE = 50;

/** Many clients on one node, and one on it that nothing happens to. */
export const clientsTopology = (): string => `
name: hcli
nodes: { n1: {}, n2: {} }
services: { near: { payload: IP }, far: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.0.0/20] }
  nse-far: { node: n2, services: [far], prefixes: [172.17.0.0/20] }
clients:
  a: { node: n1, services: [kernel://near/nsm-1] }
${Array.from({ length: AT_ONCE }, (_, i) => `  c${i}: { node: n1, services: [kernel://${i % 2 === 0 ? 'near' : 'far'}/nsm-1] }`).join('\n')}
`;

/** How often a client has logged that a wire of it is up. */
function successes({ lab }: Mesh, client: string): number {
  const log = lab.processes().find(({ name }) => name === client)?.log ?? '';
  return readFileSync(log, 'utf8').match(/"msg":"(connected|refreshed|healed)"/g)?.length ?? 0;
}

/** CPU of the processes beside those of these names, in ms. */
const cpuOfOthers = ({ lab }: Mesh, names: readonly string[]): number =>
  sum(
    lab
      .processes()
      .flatMap(({ name, pid, alive }) => (alive && !names.includes(name) ? [cpuMs(pid)] : [])),
  );

/** What the time goes into: clients are processes that have just been started. */
function tellCpu(mesh: Mesh, names: readonly string[], before: number): void {
  const others = cpuOfOthers(mesh, names) - before;
  const clients = mesh.lab.processes().filter(({ name }) => names.includes(name));
  const each = sum(clients.map(({ pid }) => cpuMs(pid))) / clients.length;
  process.stderr.write(`… processor time: ${each} ms of each client, ${others} ms of all others\n`);
}

const herd: Scenario = {
  name: `${AT_ONCE} clients of one node killed and started at once`,
  until: 'all wires up',
  deadlineMs: 15_000,
  run: async (mesh) => {
    await allUp(mesh);
    const names = Array.from({ length: AT_ONCE }, (_, i) => `c${i}`);
    const { result: ms, ...others } = await counting(
      mesh,
      [await wireTo(mesh, 'a', 'near')],
      async () => {
        const waiting = new Map(names.map((name) => [name, successes(mesh, name)]));
        await Promise.all(names.map((name) => mesh.kill(name)));
        const before = cpuOfOthers(mesh, names);
        const started = performance.now();
        const starting = Promise.all(names.map((name) => mesh.start(name)));
        // Each finds the wire of its earlier process and refreshes it, or makes one anew. Looking takes time from them.
        await eventually(
          async () => {
            for (const [name, before] of waiting)
              if (successes(mesh, name) > before) waiting.delete(name);
            return waiting.size;
          },
          (left) => left === 0,
          60_000,
          100,
        );
        const took = performance.now() - started;
        await starting;
        tellCpu(mesh, names, before);
        return took;
      },
    );
    return { ms, others, residue: await residueLeft(mesh) };
  },
};

export const deathTopology = (): string => `
name: hdth
nodes: { n1: {}, n2: {} }
services: { near: { payload: IP }, far: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.1.0/24] }
  nse-far: { node: n2, services: [far], prefixes: [172.16.2.0/24] }
clients:
  a: { node: n1, services: [kernel://near/nsm-1] }
  b: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }
`;

const death: Scenario = {
  name: `client killed for good, tokens of ${LEASE}`,
  until: 'nothing of it anywhere',
  deadlineMs: 6_000,
  run: async (mesh) => {
    const gone = async (): Promise<number> =>
      (await mesh.links('b')).length +
      (await mesh.links('nse-near')).length +
      (await mesh.links('nse-far')).length;
    const { result: ms, ...others } = await counting(
      mesh,
      [await wireTo(mesh, 'a', 'near')],
      async () => {
        await mesh.kill('b');
        const started = performance.now();
        // What is left at the endpoints is the other client's.
        await eventually(gone, (links) => links === 1, 30_000, 50);
        return performance.now() - started;
      },
    );
    const residue = await residueLeft(mesh);
    await mesh.start('b');
    await mesh.connected('b');
    return { ms, others, residue };
  },
};

export const herdScenarios: readonly Scenario[] = [herd];
export const deathScenarios: readonly Scenario[] = [death];
