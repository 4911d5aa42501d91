import { expect, test } from '@jest/globals';
import { Scope } from '@nsm/chain';
import { callOf, echo } from '../testing.ts';
import { mechanisms } from './mechanisms.ts';
import { wireguardClaim, wireguardMechanism, wireguardOffers } from './wireguard-mechanism.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const PEER = Buffer.alloc(32, 2).toString('base64');

/** A tunnel whose devices have port after port; `released` are the connections that gave theirs back. */
const tunnelOf = () => {
  const released: string[] = [];
  let port = 51_819;
  return {
    released,
    tunnel: {
      ip: '10.0.0.2',
      underlayMtu: 1500,
      owner: 'fwd',
      devices: {
        identity: async () => ({ publicKey: KEY, port: (port += 1) }),
        release: ({ id }: { id: string }) => void released.push(id),
      },
    },
  };
};
const offer = (parameters: Record<string, string> = {}) => ({
  cls: 'REMOTE',
  type: 'WIREGUARD',
  parameters: { src_ip: '10.0.0.1', src_port: '51825', src_public_key: PEER, ...parameters },
});

test('the serving side answers its address, port, key and MTU, the same on a refresh', async () => {
  const element = mechanisms(wireguardMechanism(tunnelOf().tunnel));
  const scope = new Scope();
  const first = await element.run(
    callOf({ payload: 'IP' }, { preferences: [offer()], scope }),
    echo,
  );
  expect(first.mechanism?.parameters).toMatchObject({
    src_ip: '10.0.0.1',
    src_port: '51825',
    src_public_key: PEER,
    dst_ip: '10.0.0.2',
    dst_port: '51820',
    dst_public_key: KEY,
    MTU: '1440',
  });
  const again = callOf({ payload: 'IP', mechanism: first.mechanism }, { scope });
  expect((await element.run(again, echo)).mechanism).toEqual(first.mechanism);
});

test.each([
  ['mechanism-unsupported', 'ETHERNET', {}],
  ['invalid-argument', 'IP', { src_ip: '' }],
  ['invalid-argument', 'IP', { src_public_key: 'AAAA' }],
])('is refused as %s: payload %s, %j', async (code, payload, parameters) => {
  const element = mechanisms(wireguardMechanism(tunnelOf().tunnel));
  await expect(
    element.run(callOf({ payload }, { preferences: [offer(parameters)] }), echo),
  ).rejects.toMatchObject({ code });
});

test('is offered for payload IP only', async () => {
  const { tunnel } = tunnelOf();
  expect(await wireguardOffers(callOf({ payload: 'ETHERNET' }), tunnel)).toEqual([]);
  expect(await wireguardOffers(callOf({ payload: 'IP' }), tunnel)).toMatchObject([
    {
      type: 'WIREGUARD',
      parameters: { src_ip: '10.0.0.2', src_port: '51820', src_public_key: KEY },
    },
  ]);
});

test('gives key and port back where the other side chose another mechanism', async () => {
  const { tunnel, released } = tunnelOf();
  const call = callOf({ payload: 'IP' }, { scope: new Scope() });
  await wireguardClaim(tunnel).run(call, async (onward) => {
    await wireguardOffers(onward, tunnel);
    return { ...onward.connection, mechanism: { cls: 'REMOTE', type: 'VXLAN', parameters: {} } };
  });
  expect(released).toHaveLength(1);
});
