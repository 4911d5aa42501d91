import { parseAddress } from '@nsm/ip';
import type { LabWire } from '@nsm/lab';
import { getLink, linkSet, neighbourDelete, neighbourReplace, withRtnetlink } from '@nsm/netlink';
import { allUp, LEASE, type Mesh } from './mesh.ts';
import { moving, wireTo } from './moves.ts';
import type { Scenario } from './scenario.ts';

/** Three nodes: clients on the first, endpoints of `rem` on the others, and a wire between the first and the last that nothing happens to. */
export const networkTopology = (): string => `
name: hnet
nodes: { n1: {}, n2: {}, n3: {}, n4: {} }
services: { rem: { payload: IP }, near: { payload: IP }, far: { payload: IP } }
endpoints:
  rem-2: { node: n2, services: [rem], prefixes: [172.18.2.0/24] }
  rem-3: { node: n3, services: [rem], prefixes: [172.18.3.0/24] }
  nse-near: { node: n1, services: [near], prefixes: [172.16.1.0/24] }
  nse-far: { node: n4, services: [far], prefixes: [172.16.2.0/24] }
clients:
  a: { node: n1, services: [kernel://rem/nsm-1] }
  b: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }
`;

const portOf = ({ lab }: Mesh, namespace: string) =>
  lab.plan.underlay.ports.find((port) => port.namespace === namespace)!;

/** Joins a node or the registry with the underlay, or cuts it off: nothing is closed or refused, packets are just gone. */
export function joined(mesh: Mesh, namespace: string, up: boolean): void {
  const { name } = portOf(mesh, namespace);
  withRtnetlink(mesh.lab.netns('underlay'), (rt) =>
    rt.request([linkSet({ index: getLink(rt, name)!.index, name }, { up })]),
  );
}

/** Lets what one sends to another vanish, or arrive again; the way back stays as it is. */
export function heard(mesh: Mesh, from: string, to: string, arrives: boolean): void {
  const address = parseAddress(portOf(mesh, to).address.split('/')[0] ?? '');
  withRtnetlink(mesh.lab.netns(from), (rt) => {
    const uplink = getLink(rt, 'eth0')!;
    rt.request([
      arrives
        ? neighbourDelete(uplink, address)
        : neighbourReplace(uplink, { to: address, mac: '02:00:00:00:00:99', state: 'permanent' }),
    ]);
  });
}

const bystanders = async (mesh: Mesh): Promise<LabWire[]> => [
  await wireTo(mesh, 'b', 'near'),
  await wireTo(mesh, 'b', 'far'),
];

const vanishing: Scenario = {
  name: 'a node vanishes (no reset, no answer)',
  until: 'traffic on a new wire',
  deadlineMs: 3_000,
  run: async (mesh) => {
    const wire = await wireTo(mesh, 'a', 'rem');
    const node = wire.endpoint.replace('rem-', 'n');
    try {
      const { fault, ...run } = await moving(mesh, wire, await bystanders(mesh), async () =>
        joined(mesh, node, false),
      );
      // What the vanished node still has is known when it is back.
      return fault === undefined ? { ...run, residue: 0 } : { ...run, residue: 0, fault };
    } finally {
      joined(mesh, node, true);
      await allUp(mesh);
    }
  },
};

const orphaned: Scenario = {
  name: `remote manager killed for good, tokens of ${LEASE}`,
  until: 'traffic on a new wire',
  deadlineMs: 6_500,
  run: async (mesh) => {
    const wire = await wireTo(mesh, 'a', 'rem');
    const manager = wire.endpoint.replace('rem-', 'nsmgr-n');
    try {
      return await moving(mesh, wire, await bystanders(mesh), () => mesh.kill(manager));
    } finally {
      await mesh.start(manager);
      await allUp(mesh);
    }
  },
};

export const networkScenarios: readonly Scenario[] = [vanishing];
export const orphanScenarios: readonly Scenario[] = [orphaned];
