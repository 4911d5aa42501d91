import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plan, PlannedNamespace, PlannedProcess, Program } from '@nsm/lab';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');

/** docker-compose.yml as a value, with what it repeats filled in. */
export const shipped = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), {
  merge: true,
}) as Readonly<Record<string, object>>;

/** The container that owns a namespace. */
export const anchorOf = (namespace: string): string => `${namespace}-net`;

const TEMPLATES: Readonly<Record<Program, string>> = {
  identity: 'x-locked',
  registry: 'x-locked',
  nsmgr: 'x-manager',
  forwarder: 'x-forwarder',
  nse: 'x-endpoint',
  nsc: 'x-client',
};

/** A compose file of the mesh of a plan: its containers are those of the shipped file, their names the plan's. */
export function composeFile(plan: Plan): object {
  const namespaces = plan.namespaces.filter(({ kind }) => kind !== 'underlay');
  const nodes = namespaces.filter(({ kind }) => kind === 'node');
  const addresses = new Map(
    plan.underlay.ports.map(({ namespace, address }) => [namespace, address]),
  );
  const [someAddress = ''] = addresses.values();
  return {
    services: Object.fromEntries<object>([
      ...namespaces.map(
        (space) => [anchorOf(space.name), anchor(space, addresses.get(space.name))] as const,
      ),
      ...plan.processes.map((process) => [process.name, container(plan, process)] as const),
    ]),
    networks: {
      underlay: { ipam: { config: [subnetOf(someAddress)] } },
      ...Object.fromEntries(nodes.map(({ name }) => [`pods-${name}`, {}])),
    },
  };
}

/** The plan gives its own first address to the registry, where an engine would put its gateway. */
function subnetOf(address: string): object {
  const [ip = '', length = ''] = address.split('/');
  const net = ip.replace(/\.\d+$/, '');
  return { subnet: `${net}.0/${length}`, gateway: `${net}.254` };
}

function anchor({ kind, name, node }: PlannedNamespace, address: string | undefined): object {
  const underlay = { underlay: { ipv4_address: address?.split('/')[0] } };
  return {
    ...shipped[kind === 'pod' ? 'x-workload' : 'x-node'],
    build: undefined,
    restart: 'no',
    networks:
      kind === 'pod'
        ? { [`pods-${node ?? ''}`]: {} }
        : { ...underlay, ...(kind === 'node' && { [`pods-${name}`]: {} }) },
  };
}

function container({ folder }: Plan, { program, namespace, env }: PlannedProcess): object {
  return {
    ...shipped[TEMPLATES[program]],
    image: `nsm/${program}:local`,
    build: undefined,
    // Whoever kills one decides when it comes back.
    restart: 'no',
    network_mode: `service:${anchorOf(namespace)}`,
    volumes: [`${folder}:${folder}`],
    environment: env,
  };
}
