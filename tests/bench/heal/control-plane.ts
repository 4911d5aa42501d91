import { counting, newWires, allUp, residueLeft, type Mesh } from './mesh.ts';
import type { Run, Scenario } from './scenario.ts';

const SERVICES = ['near', 'far'];
const PODS = ['a', 'nse-near', 'nse-far'];

export const controlPlaneTopology = `
name: hctl
nodes: { n1: {}, n2: {} }
services: { near: { payload: IP }, far: { payload: IP } }
endpoints:
  nse-near: { node: n1, services: [near], prefixes: [172.16.1.0/24] }
  nse-far: { node: n2, services: [far], prefixes: [172.16.2.0/24] }
clients:
  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }
`;

/** The links of each pod, with indexes and addresses. */
const look = async (mesh: Mesh): Promise<readonly string[]> =>
  Promise.all(PODS.map(async (pod) => `${pod}: ${(await mesh.links(pod)).join(' ')}`));

/** Ends processes together, by SIGKILL and by SIGTERM in turn, and starts them again; wires keep everything, and new ones can be had. */
const restart = (name: string, processes: readonly string[]): Scenario => {
  let runs = 0;
  return {
    name: `${name} restarted`,
    until: 'new wires, once back',
    deadlineMs: 2_000,
    run: async (mesh): Promise<Run> => {
      const end = (runs += 1) % 2 === 1 ? mesh.kill : mesh.end;
      const wires = await allUp(mesh);
      const before = await look(mesh);
      const { result: ms, ...others } = await counting(mesh, wires, async () => {
        await Promise.all(processes.map((each) => end(each)));
        await Promise.all(processes.map((each) => mesh.start(each)));
        const took = await newWires(mesh, 'a', SERVICES);
        await allUp(mesh);
        return took;
      });
      const residue = await residueLeft(mesh);
      const changed = (await look(mesh)).flatMap((pod, i) =>
        pod === before[i] ? [] : [`${before[i] ?? ''} became ${pod}`],
      );
      const fault = changed.length === 0 ? undefined : changed.join(', ');
      return { ms, others, residue, fault };
    },
  };
};

const ended: readonly [string, readonly string[]][] = [
  ['registry', ['registry']],
  ['identity server', ['identity']],
  ['local manager', ['nsmgr-n1']],
  ['remote manager', ['nsmgr-n2']],
  ['both managers', ['nsmgr-n1', 'nsmgr-n2']],
  ['local forwarder', ['forwarder-n1']],
  ['remote forwarder', ['forwarder-n2']],
  ['both forwarders', ['forwarder-n1', 'forwarder-n2']],
  ['local manager + forwarder', ['nsmgr-n1', 'forwarder-n1']],
  ['registry + local manager', ['registry', 'nsmgr-n1']],
  ['registry + remote manager', ['registry', 'nsmgr-n2']],
  ['registry + remote forwarder', ['registry', 'forwarder-n2']],
  ['local endpoint', ['nse-near']],
  ['remote endpoint', ['nse-far']],
  ['identity server + registry', ['identity', 'registry']],
  ['identity server + local forwarder', ['identity', 'forwarder-n1']],
  ['whole mesh', ['identity', 'registry', 'nsmgr-n1', 'nsmgr-n2', 'forwarder-n1', 'forwarder-n2']],
];

export const controlPlaneScenarios = ended.map(([name, processes]) => restart(name, processes));
