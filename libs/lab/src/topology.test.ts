import { describe, expect, test } from '@jest/globals';
import { NsmError } from '@nsm/rpc';
import { parseTopology } from './parse-topology.ts';

const good = `
name: demo
nodes:
  node-1: {}
  node-2: { env: { NSM_LOG_LEVEL: debug } }
services:
  web: {}
  wire:
    payload: ETHERNET
    matches:
      - source_selector: { app: a }
        routes: [{ destination_selector: { color: red }, weight: 3 }]
        fallthrough: true
endpoints:
  server:
    node: node-1
    services: [web]
    prefixes: [172.16.0.0/24, [172.17.0.0/24, 172.18.0.0/24], "fd00:1::/64"]
    labels: { color: red, tier: 1 }
clients:
  alice:
    node: node-2
    services: [kernel://web/nsm-1?app=b, kernel://wire]
    labels: { app: a, zone: x }
`;

/** The faults of a text, as lines. */
function faultsOf(text: string): string[] {
  try {
    parseTopology(text, 't.yaml');
  } catch (error) {
    if (error instanceof NsmError && error.code === 'invalid-argument')
      return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a topology', () => {
  test('is read with its defaults', () => {
    const read = parseTopology(good);
    expect(read.underlay).toEqual({ cidr: '10.90.0.0/24', mtu: 1500 });
    expect(read.registry).toEqual({ store: 'memory', env: {} });
    expect(read.nodes).toEqual([
      { name: 'node-1', env: {} },
      { name: 'node-2', env: { NSM_LOG_LEVEL: 'debug' } },
    ]);
    expect(read.endpoints).toEqual([
      {
        name: 'server',
        node: 'node-1',
        services: ['web'],
        payload: 'IP',
        prefixes: [['172.16.0.0/24'], ['172.17.0.0/24', '172.18.0.0/24'], ['fd00:1::/64']],
        labels: { color: 'red', tier: '1' },
        env: {},
      },
    ]);
  });

  test('carries the matches of a service as the registry takes them', () => {
    expect(parseTopology(good).services[1]?.matches).toEqual([
      {
        sourceSelector: { app: 'a' },
        routes: [{ destinationSelector: { color: 'red' }, weight: 3 }],
        fallthrough: true,
        metadata: undefined,
      },
    ]);
  });

  test("merges a client's labels into its requests, whose own win", () => {
    expect(parseTopology(good).clients[0]?.services).toEqual([
      { service: 'web', interface: 'nsm-1', labels: { app: 'b', zone: 'x' } },
      { service: 'wire', interface: undefined, labels: { app: 'a', zone: 'x' } },
    ]);
  });
});

describe('a faulty topology', () => {
  test('has all of its faults reported, in the order of the text', () => {
    const text = `
name: Demo
nodes: { node-1: {}, registry: {} }
services: { web: { payload: UDP } }
endpoints:
  server: { node: node-3, services: [web, db], prefixes: [10.0.0.5/24, nonsense], color: red }
clients:
  alice:
    node: node-1
    services: [kernel://web/an-interface-name-too-long, kernel://wbe, memif://web, 7]
`;
    expect(faultsOf(text)).toEqual([
      't.yaml:2:7 name: "Demo" is no name here: use up to 24 of a-z, 0-9 and "-", not starting or ending with "-"',
      't.yaml:3:22 nodes.registry: "registry" is taken by the registry; names are unique in a lab',
      't.yaml:4:29 services.web.payload: "UDP" is not one of IP, ETHERNET',
      't.yaml:6:19 endpoints.server.node: no node is called "node-3"; nodes are node-1, registry',
      't.yaml:6:43 endpoints.server.services[1]: no service is called "db"; services are web',
      't.yaml:6:59 endpoints.server.prefixes[0]: 10.0.0.5/24 has host bits set; the prefix is 10.0.0.0/24',
      't.yaml:6:72 endpoints.server.prefixes[1]: "nonsense" is not a prefix like 10.0.1.0/24 or fd00:1::/64',
      't.yaml:6:83 endpoints.server.color: there is no such field; allowed are node, services, payload, prefixes, labels, env',
      't.yaml:10:16 clients.alice.services[0]: "kernel://web/an-interface-name-too-long": the interface name "an-interface-name-too-long" has 26 bytes; at most 15 are allowed',
      't.yaml:10:57 clients.alice.services[1]: no service is called "wbe"; services are web',
      't.yaml:10:71 clients.alice.services[2]: "memif://web": the mechanism "memif" is not known here; write it as kernel://service/interface?label=value',
      't.yaml:10:84 clients.alice.services[3]: 7 is not text',
    ]);
  });

  test.each([
    ['', ['t.yaml:1:1 name: it is missing', 't.yaml:1:1 nodes: at least one node']],
    ['- a', ['t.yaml:1:1: a list is not a map', 'name: it is missing', 'nodes: at least one']],
    ['name: [\nnodes: 7', ['t.yaml:2:1: Flow sequence']],
    ['name: a\nname: b\nnodes: {n: {}}', ['t.yaml:2:1: Map keys must be unique']],
    [
      'name: a\nnodes: {n: {}, m: {}}\nunderlay: {cidr: 10.0.0.0/30, mtu: 576}',
      [
        't.yaml:3:18 underlay.cidr: 10.0.0.0/30 has no room for a registry and 2 nodes',
        't.yaml:3:36 underlay.mtu: 576 is out of range; allowed is 1280 to 65535',
      ],
    ],
    [
      'name: a\nnodes: {n: {}}\nservices: {s: {}}\nendpoints:\n  e: {node: n, services: [s], prefixes: [10.90.0.0/16, 10.90.3.0/24]}',
      [
        'endpoints.e.prefixes[0]: 10.90.0.0/16 overlaps the underlay 10.90.0.0/24',
        'endpoints.e.prefixes[1]: 10.90.3.0/24 overlaps 10.90.0.0/16',
      ],
    ],
    [
      'name: a\nnodes: {n: {}}\nservices: {s: {}}\nclients:\n  c: {node: n, services: [kernel://s/x, kernel://s/x]}\n  nsmgr-n: {node: n}',
      [
        'clients.c.services[1]: the interface "x" is that of clients.c.services[0] already',
        'clients.nsmgr-n: "nsmgr-n" is taken by the nsmgr of n',
      ],
    ],
  ])('%j names line, column and field', (text, expected) => {
    const faults = faultsOf(text);
    expect(faults).toEqual(expected.map((part) => expect.stringContaining(part)));
  });
});
