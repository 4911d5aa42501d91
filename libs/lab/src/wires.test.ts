import { expect, test } from '@jest/globals';
import { Connection, State } from '@nsm/proto';
import { wiresFrom } from './wires.ts';

const hops = (...names: string[]) => names.map((name) => ({ name, id: `${name}-0` }));
const context = {
  ipContext: { srcIpAddrs: ['10.0.0.1/32'], dstIpAddrs: ['10.0.0.0/32'] },
  MTU: 1500,
};
const near = Connection.fromPartial({
  id: 'b',
  networkService: 'web',
  networkServiceEndpointName: 'shop',
  payload: 'IP',
  mechanism: { type: 'KERNEL', parameters: { name: 'nsm-1' } },
  context,
  path: { index: 1, pathSegments: hops('alice', 'n1', 'f1', 'n2', 'f2', 'shop') },
});
const far = Connection.fromPartial({
  ...near,
  id: 'd',
  mechanism: { type: 'VXLAN', parameters: { vni: '77' } },
  path: { ...near.path, index: 3 },
});
const wire = {
  client: 'alice',
  connection: 'alice-0',
  service: 'web',
  endpoint: 'shop',
  node: 'n1',
  endpointNode: 'n2',
  mechanism: 'vxlan 77',
  payload: 'IP',
  state: 'up',
  interface: 'nsm-1',
  clientAddresses: ['10.0.0.1/32'],
  endpointAddresses: ['10.0.0.0/32'],
  mtu: 1500,
  path: ['alice', 'n1', 'f1', 'n2', 'f2', 'shop'],
  traffic: null,
};

test('what two managers know of a remote wire is one wire', () => {
  expect(wiresFrom({ n1: [near], n2: [far] })).toEqual([wire]);
});

test('a wire is known by one of its managers alone', () => {
  expect(wiresFrom({ n1: [near] })).toEqual([{ ...wire, endpointNode: '', mechanism: '' }]);
  expect(wiresFrom({ n2: [far] })).toEqual([{ ...wire, node: '', interface: '' }]);
});

test('a local wire has both ends on its node', () => {
  const local = Connection.fromPartial({
    ...near,
    state: State.DOWN,
    path: { index: 1, pathSegments: hops('alice', 'n1', 'f1', 'shop') },
  });
  expect(wiresFrom({ n1: [local] })).toMatchObject([
    { node: 'n1', endpointNode: 'n1', mechanism: 'kernel', state: 'down' },
  ]);
});

test('an endpoint that passes on is where the wire of the client ends', () => {
  const through = hops('alice', 'n1', 'f1', 'wall', 'wall-client', 'n1', 'f1', 'n2', 'f2', 'shop');
  const at = (index: number, networkServiceEndpointName: string) =>
    Connection.fromPartial({
      ...near,
      networkServiceEndpointName,
      path: { index, pathSegments: through },
    });
  expect(wiresFrom({ n1: [at(5, 'shop'), at(1, 'wall')], n2: [at(7, 'shop')] })).toMatchObject([
    { endpoint: 'wall', node: 'n1', endpointNode: 'n1', mechanism: 'kernel' },
  ]);
});

test('what the forwarder of the client has counted is turned to the view of the client', () => {
  const [alice, manager, forwarder, endpoint] = hops('alice', 'n1', 'f1', 'shop');
  const metrics = {
    server_interface: 'KERNEL/nsm-1',
    ...{ server_rx_bytes: '1000', server_tx_bytes: '20', server_rx_packets: '10' },
    ...{ server_tx_packets: '2', server_errors: '1', server_drops: '3' },
  };
  const counted = Connection.fromPartial({
    ...near,
    path: { index: 1, pathSegments: [alice!, manager!, { ...forwarder, metrics }, endpoint!] },
  });
  expect(wiresFrom({ n1: [counted] })[0]?.traffic).toEqual({
    ...{ rxBytes: 20, txBytes: 1000, rxPackets: 2, txPackets: 10, errors: 1, drops: 3 },
  });
});

test('no connections are no wires', () => {
  expect(wiresFrom({ n1: [] })).toEqual([]);
});
