import { describe, expect, test } from '@jest/globals';
import { Scope } from '@nsm/chain';
import { elementLaws } from '@nsm/chain/testing';
import { createFakeDatapath } from '@nsm/datapath/fake';
import { PathSegment, type Connection } from '@nsm/proto';
import { callOf, kernel } from '../testing.ts';
import { crossConnect } from './cross-connect.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };
const context = { ipContext: { srcIpAddrs: ['172.16.1.1/32'], dstIpAddrs: ['172.16.1.0/32'] } };
const segment = (name: string): PathSegment =>
  PathSegment.fromPartial({ name, id: name === 'nsc' ? 'nsc-0' : 'a' });
const start = () => {
  const datapath = createFakeDatapath();
  const element = crossConnect({ datapath, owner: 'forwarder', underlayMtu: 1500 });
  const ask = (scope = new Scope(), change: Partial<Connection> = {}) => {
    const call = callOf(
      { id: 'a', context, mechanism: kernel({ name: 'nsm-1', inodeURL: places.client }) },
      { scope },
    );
    return element.run(call, async () => ({
      ...call.connection,
      ...change,
      mechanism: kernel({ name: 'nse-1', inodeURL: places.endpoint }),
    }));
  };
  return { datapath, element, ask };
};

describe('cross-connect', () => {
  test('joins the two sides once both are agreed, and parts them at the end', async () => {
    const { datapath, ask } = start();
    const scope = new Scope();
    await ask(scope);
    expect(datapath.reaches(places.client, '172.16.1.0')).toBe(true);
    expect(datapath.reaches(places.endpoint, '172.16.1.1')).toBe(true);
    await scope.close();
    expect(datapath.show(places)).toEqual([]);
  });

  test('a refresh changes nothing', async () => {
    const { datapath, ask } = start();
    const scope = new Scope();
    await ask(scope);
    const made = datapath.operations.length;
    await ask(scope);
    expect(datapath.operations).toHaveLength(made);
  });

  test('tells on each request what the wire has carried, as seen from the middle', async () => {
    const { datapath, ask } = start();
    const scope = new Scope();
    const path = { index: 1, pathSegments: [segment('nsc'), segment('forwarder')] };
    const metricsOf = async () => (await ask(scope, { path })).path?.pathSegments[1]?.metrics ?? {};
    expect(await metricsOf()).toMatchObject({
      client_interface: 'KERNEL/nse-1',
      server_rx_bytes: '0',
      client_tx_packets: '0',
    });
    datapath.carry(places.client, 'nsm-1', {
      txBytes: 1000n,
      txPackets: 10n,
      rxBytes: 7n,
      rxDropped: 2n,
    });
    datapath.carry(places.endpoint, 'nse-1', {
      rxBytes: 1000n,
      rxPackets: 10n,
      txBytes: 7n,
      txErrors: 3n,
    });
    expect(await metricsOf()).toEqual({
      client_interface: 'KERNEL/nse-1',
      ...{ server_rx_bytes: '1000', server_rx_packets: '10', server_tx_bytes: '7' },
      ...{ server_tx_packets: '0', server_errors: '0', server_drops: '2' },
      ...{ client_tx_bytes: '1000', client_tx_packets: '10', client_rx_bytes: '7' },
      ...{ client_rx_packets: '0', client_errors: '3', client_drops: '0' },
    });
  });

  test('a refused request leaves nothing, and says what the kernel said', async () => {
    const { datapath, ask } = start();
    datapath.failNext('EPERM');
    await expect(ask()).rejects.toMatchObject({
      code: 'kernel',
      hint: expect.stringContaining('CAP_NET_ADMIN') as unknown,
    });
    datapath.addForeign(places.client, 'nsm-1');
    await expect(ask()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('nsm-1') as unknown,
    });
    expect(datapath.show(places).filter((line) => line.includes('nse-1'))).toEqual([]);
  });

  test('a pair of mechanisms that cannot be joined is named', async () => {
    const { element } = start();
    const call = callOf({
      id: 'a',
      context,
      mechanism: kernel({ name: 'nsm-1', inodeURL: places.client }),
    });
    const memif = { cls: 'LOCAL', type: 'MEMIF', parameters: {} };
    await expect(
      element.run(call, async () => ({ ...call.connection, mechanism: memif })),
    ).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('MEMIF') as unknown,
    });
  });
});

elementLaws('cross-connect', () => {
  const { datapath, element } = start();
  return {
    element: () => element,
    call: (base) =>
      callOf(
        { id: 'a', context, mechanism: kernel({ name: 'nsm-1', inodeURL: places.client }) },
        base,
      ),
    answer: (call) => ({
      ...call.connection,
      mechanism: kernel({ name: 'nse-1', inodeURL: places.endpoint }),
    }),
    state: () => datapath.show(places),
  };
});
