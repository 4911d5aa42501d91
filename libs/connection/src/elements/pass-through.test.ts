import { expect, test } from '@jest/globals';
import { chain, Scope } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { audienceOf, insecureTokens, subjectOf } from '@nsm/identity';
import type { Call } from '../call.ts';
import { answerOf, callOf, echo, kernel, passedOn } from '../testing.ts';
import { asClient } from './as-client.ts';
import { joinWires } from './join-wires.ts';
import { passThrough } from './pass-through.ts';
import { sameMacs } from './same-macs.ts';
import { updatePath } from './update-path.ts';
import { updateToken } from './update-token.ts';

const asked = { networkServiceEndpointName: 'firewall', labels: { color: 'red' } };

test('the next endpoint is asked for with own labels, then by the name it has answered; the caller sees neither', async () => {
  const scope = new Scope();
  const seen: Pick<Call['connection'], 'labels' | 'networkServiceEndpointName'>[] = [];
  const ask = () =>
    passThrough({ app: 'firewall' }).run(callOf(asked, { scope }), async ({ connection }) => {
      const { labels, networkServiceEndpointName } = connection;
      seen.push({ labels, networkServiceEndpointName });
      return { ...connection, labels: { more: 'yes' }, networkServiceEndpointName: 'server' };
    });
  expect(await ask()).toMatchObject(asked);
  expect(await ask()).toMatchObject(asked);
  expect(seen).toEqual([
    { labels: { app: 'firewall' }, networkServiceEndpointName: '' },
    { labels: { app: 'firewall' }, networkServiceEndpointName: 'server' },
  ]);
});

test('the client of a hop has a segment of its own, and the tokens of both chain', async () => {
  const tokens = insecureTokens('firewall', 1_000, createFakeClock(0));
  const hop = chain(
    updatePath('firewall', () => 'server-id'),
    updateToken(tokens),
    asClient(tokens),
    updatePath('firewall-client', () => 'client-id'),
    updateToken(tokens),
  );
  const caller = { name: 'forwarder', id: 'f' };
  const call = callOf({ id: 'f', path: { index: 0, pathSegments: [caller] } });
  const { id, path } = (await passedOn(hop, call)).connection;
  expect([id, path?.index]).toEqual(['client-id', 2]);
  const [, server, client] = path?.pathSegments ?? [];
  expect([server?.id, client?.id]).toEqual(['server-id', 'client-id']);
  expect(audienceOf(server?.token ?? '')).toBe(subjectOf(client?.token ?? ''));
  const answer = await answerOf(hop, call);
  expect([answer.id, answer.path?.index]).toEqual(['f', 0]);
});

test('wires of one origin have the same link-layer addresses, and what is settled stays', async () => {
  const macs = async (connection: Parameters<typeof callOf>[0]) =>
    (await passedOn(sameMacs(), callOf(connection))).connection.context?.ethernetContext;
  const from = (origin: string, hop: string) => ({
    id: hop,
    path: { index: 1, pathSegments: [{ id: origin }, { id: hop }] },
  });
  const first = await macs(from('a', 'x'));
  expect(first?.srcMac).toMatch(/^(..:){5}..$/);
  expect(first?.srcMac).not.toBe(first?.dstMac);
  expect(await macs(from('a', 'y'))).toEqual(first);
  expect(await macs(from('b', 'x'))).not.toEqual(first);
  const ethernetContext = { srcMac: '02:00:00:00:00:01', vlanTag: 7 };
  expect(await macs({ ...from('a', 'x'), context: { ethernetContext } })).toEqual({
    ...ethernetContext,
    dstMac: first?.dstMac,
  });
});

test('both interfaces are joined once the next one is answered, and parted when that fails or ends', async () => {
  const done: string[] = [];
  const joints = {
    join: (id: string, ends: readonly [string, string]) =>
      void done.push(`${id} ${ends.join('+')}`),
    part: (id: string) => void done.push(`${id} parted`),
  };
  const scope = new Scope();
  const call = callOf({ id: 'x', mechanism: kernel({ name: 'in' }) }, { scope });
  const answering = (name: string) => async (last: Call) => ({
    ...last.connection,
    mechanism: kernel({ name }),
  });
  const element = chain(joinWires(joints));
  await element.run(call, answering('out'));
  scope.commit();
  await element.run(call, answering('out'));
  expect(done).toEqual(['x in+out', 'x in+out']);
  await scope.close();
  expect(done.slice(2)).toEqual(['x parted']);

  const refusing = {
    ...joints,
    join: () => {
      throw new Error('EPERM');
    },
  };
  await expect(chain(joinWires(refusing)).run(call, answering('out'))).rejects.toThrow(
    'in and out cannot be joined: Error: EPERM',
  );
  expect(done.slice(3)).toEqual(['x parted']);
  const noop = callOf({ id: 'x', mechanism: { cls: 'LOCAL', type: 'NOOP' } });
  await expect(element.run(noop, echo)).rejects.toThrow('NOOP has none');
});
