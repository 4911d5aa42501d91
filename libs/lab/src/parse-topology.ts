import { readFileSync } from 'node:fs';
import { formatPrefix, network, parsePrefix } from '@nsm/ip';
import { NsmError } from '@nsm/rpc';
import { choiceOf, nameFault, prefixOf, takeName } from './parse-names.ts';
import { readClient, readEndpoint, readMatches } from './parse-pods.ts';
import type { NodeSpec, RegistrySpec, ServiceSpec, Topology, Underlay } from './topology.ts';
import { type Place, readYaml, type YamlReader } from './yaml-reader.ts';

const DEFAULT_CIDR = '10.90.0.0/24';
/** What IPv6 asks of every link, and the largest a veth takes. */
const [MIN_MTU, DEFAULT_MTU, MAX_MTU] = [1280, 1500, 65_535];

/**
 * Reads a topology.
 * @param file what faults call it
 * @throws NsmError invalid-argument with a line for every fault: `FILE:LINE:COLUMN FIELD: what is wrong and what is allowed`
 */
export function parseTopology(text: string, file = 'topology.yaml'): Topology {
  const yaml = readYaml(text, file);
  if (!yaml.wellFormed) throw refusal(yaml, file);
  const top = yaml.fields(yaml.root, [
    'name',
    'insecure',
    'underlay',
    'registry',
    'nodes',
    'services',
    'endpoints',
    'clients',
  ]);
  const taken = new Map([
    ['identity', 'the identity server'],
    ['registry', 'the registry'],
    ['underlay', 'the underlay'],
  ]);
  const name = readName(yaml, top.name);
  const nodes = readNodes(yaml, top.nodes, taken);
  const services = readServices(yaml, top.services);
  const underlay = readUnderlay(yaml, top.underlay, nodes.length);
  const scope = {
    nodes: nodes.map((node) => node.name),
    services: new Map(services.map((service) => [service.name, service.payload])),
    underlay: parsePrefix(underlay.cidr),
    taken,
  };
  const topology: Topology = {
    name,
    insecure: yaml.flag(top.insecure) ?? false,
    underlay,
    registry: readRegistry(yaml, top.registry),
    nodes,
    services,
    endpoints: yaml
      .entries(top.endpoints)
      .map((entry) => readEndpoint(yaml, entry.name, entry.place, scope)),
    clients: yaml
      .entries(top.clients)
      .map((entry) => readClient(yaml, entry.name, entry.place, scope)),
  };
  if (yaml.faults().length > 0) throw refusal(yaml, file);
  return topology;
}

function refusal(yaml: YamlReader, file: string): NsmError {
  const faults = yaml.faults();
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
  return new NsmError('invalid-argument', faults.join('\n'), {
    hint: `${file} has ${count}; nothing was started`,
  });
}

/** Reads a topology from a file. @throws NsmError not-found, or as `parseTopology` */
export function readTopology(file: string): Topology {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new NsmError('not-found', `${file} cannot be read: ${(cause as Error).message}`, {
      cause,
      hint: 'name a topology file; services/nsm/topologies/quickstart.yaml is an example',
    });
  }
  return parseTopology(text, file);
}

function readName(yaml: YamlReader, at: Place): string {
  const name = yaml.text(at);
  if (name === undefined && at.node === undefined)
    yaml.fault(at, 'it is missing; it names the lab, as in "name: my-lab"');
  const fault = nameFault(name ?? 'absent');
  if (fault !== undefined) yaml.fault(at, fault);
  return name ?? '';
}

function readNodes(yaml: YamlReader, at: Place, taken: Map<string, string>): NodeSpec[] {
  const nodes = yaml.entries(at).map(({ name, place }) => {
    takeName(yaml, place, name, taken);
    for (const part of ['nsmgr', 'forwarder'])
      takeName(yaml, place, `${part}-${name}`, taken, `the ${part} of ${name}`);
    return { name, env: yaml.labels(yaml.fields(place, ['env']).env) };
  });
  if (nodes.length === 0)
    yaml.fault(at, 'at least one node is needed, as in "nodes: {node-1: {}}"');
  return nodes;
}

function readRegistry(yaml: YamlReader, at: Place): RegistrySpec {
  const { store, env } = yaml.fields(at, ['store', 'env']);
  return {
    store: choiceOf(yaml, store, ['memory', 'sqlite']) ?? 'memory',
    env: yaml.labels(env),
  };
}

function readServices(yaml: YamlReader, at: Place): ServiceSpec[] {
  return yaml.entries(at).map(({ name, place }) => {
    if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name))
      yaml.fault(
        place,
        `"${name}" is no service's name: use up to 63 of a-z, 0-9, "-" and "."`,
        'key',
      );
    const { payload, matches } = yaml.fields(place, ['payload', 'matches']);
    return {
      name,
      payload: choiceOf(yaml, payload, ['IP', 'ETHERNET']) ?? 'IP',
      matches: readMatches(yaml, matches),
    };
  });
}

function readUnderlay(yaml: YamlReader, at: Place, nodes: number): Underlay {
  const { cidr, mtu: mtuPlace } = yaml.fields(at, ['cidr', 'mtu']);
  const mtu = yaml.integer(mtuPlace) ?? DEFAULT_MTU;
  if (mtu < MIN_MTU || mtu > MAX_MTU)
    yaml.fault(mtuPlace, `${mtu} is out of range; allowed is ${MIN_MTU} to ${MAX_MTU}`);
  const prefix = prefixOf(yaml, cidr) ?? parsePrefix(DEFAULT_CIDR);
  const text = formatPrefix(network(prefix));
  // The network's own address and, with IPv4, its broadcast address are nobody's.
  const room = 2 ** Math.min((prefix.family === 4 ? 32 : 128) - prefix.length, 32) - 2;
  if (room < nodes + 1)
    yaml.fault(cidr, `${text} has no room for a registry and ${nodes} nodes; use a shorter prefix`);
  return { cidr: text, mtu };
}
