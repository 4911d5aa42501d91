import { deleteNetns } from '@nsm/netlink';
import { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { registryAt, type Mesh } from './mesh.ts';
import { moving, wireTo } from './moves.ts';
import type { Scenario } from './scenario.ts';

/** Endpoints on each node, enough that one may go in each round. */
export const endpointsTopology = (rounds: number): string => {
  const some = (service: string, node: string, at: number): string[] =>
    Array.from(
      { length: rounds + 2 },
      (_, i) =>
        `  ${service}-${i}: { node: ${node}, services: [${service}], prefixes: [172.${at}.${i}.0/24], labels: { is: ${service}-${i} } }`,
    );
  return `
name: hend
nodes: { n1: {}, n2: {} }
services:
  loc: { payload: IP }
  rem: { payload: IP }
  near: { payload: IP }
  far: { payload: IP }
endpoints:
${[...some('loc', 'n1', 17), ...some('rem', 'n2', 18)].join('\n')}
  nse-near: { node: n1, services: [near], prefixes: [172.16.1.0/24] }
  nse-far: { node: n2, services: [far], prefixes: [172.16.2.0/24] }
clients:
  a: { node: n1, services: [kernel://loc/nsm-1, kernel://rem/nsm-2] }
  b: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }
`;
};

const others = async (mesh: Mesh) => [
  await wireTo(mesh, 'b', 'near'),
  await wireTo(mesh, 'b', 'far'),
];

const death = (kind: string, service: string): Scenario => ({
  name: `${kind} endpoint killed with its pod`,
  until: 'traffic on a new wire',
  deadlineMs: 1_500,
  run: async (mesh) => {
    const wire = await wireTo(mesh, 'a', service);
    const run = await moving(mesh, wire, await others(mesh), async () => {
      await mesh.kill(wire.endpoint);
      deleteNetns(mesh.lab.netns(wire.endpoint));
    });
    // The next run begins as this one did: with all that are registered alive.
    const { endpoints } = registryAt(mesh, mesh.lab.plan.registryUrl);
    await endpoints.unregister(NetworkServiceEndpoint.fromPartial({ name: wire.endpoint }));
    return run;
  },
});

const stopped: Scenario = {
  name: 'endpoint unregisters and stops',
  until: 'traffic on a new wire',
  deadlineMs: 2_000,
  run: async (mesh) => {
    const wire = await wireTo(mesh, 'a', 'rem');
    const run = await moving(mesh, wire, await others(mesh), () => mesh.end(wire.endpoint));
    await mesh.start(wire.endpoint);
    return run;
  },
};

const rules: Scenario = {
  name: 'the rules of a service change',
  until: 'traffic on a new wire',
  deadlineMs: 1_500,
  run: async (mesh) => {
    const registry = registryAt(mesh, mesh.lab.plan.registryUrl);
    const wire = await wireTo(mesh, 'a', 'rem');
    const name = 'rem';
    const other = mesh.lab
      .processes()
      .find((each) => each.alive && /^rem-/.test(each.name) && each.name !== wire.endpoint);
    return moving(mesh, wire, await others(mesh), async () => {
      const matches = [{ routes: [{ destinationSelector: { is: other?.name ?? '' } }] }];
      await registry.services.register(
        NetworkService.fromPartial({ name, payload: 'IP', matches }),
      );
    });
  },
};

export const endpointScenarios: readonly Scenario[] = [
  death('local', 'loc'),
  death('remote', 'rem'),
  stopped,
  rules,
];
