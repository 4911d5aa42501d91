import { expect, test } from '@jest/globals';
import { parseAddress } from '@nsm/ip';
import {
  inFreshNetns,
  readWireguard,
  setWireguard,
  wireguardAdd,
  withGenetlink,
  withRtnetlink,
} from '@nsm/netlink';
import type { Wireguard } from '../plan.ts';
import { createWireguard, whyNoWireguard } from './devices.ts';
import { kernelHasWireguard } from './kernel-device.ts';
import { newKeyPair } from './key.ts';

const MARK = { id: 'c1', side: 'client' } as const;
const plan = (publicKey: string): Wireguard =>
  ({ kind: 'wireguard', publicKey, port: 51_820 }) as unknown as Wireguard;

test('a device of the kernel is what it was set to be; a kernel without them says so', () => {
  const device = { index: 0x1000, name: 'probe' };
  const setting = {
    privateKey: Buffer.from(newKeyPair().privateKey, 'hex'),
    port: 51_820,
    peer: {
      publicKey: Buffer.from(newKeyPair().publicKey, 'base64'),
      endpoint: { address: parseAddress('192.0.2.2'), port: 51_821 },
      keepalive: 10,
    },
    replacePeers: true,
  };
  const make = () =>
    inFreshNetns(() => {
      withRtnetlink(undefined, (rt) => rt.request([wireguardAdd(device)]));
      return withGenetlink(undefined, (genetlink) => {
        setWireguard(genetlink, device, setting);
        return readWireguard(genetlink, device);
      });
    });
  if (kernelHasWireguard()) {
    const { privateKey, port, peer } = setting;
    const { publicKey, endpoint } = peer;
    expect(make()).toEqual({ privateKey, port, peers: [{ publicKey, endpoint }] });
  } else expect(make).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
});

test('the kernel needs no program, and gets the keys of the wire it shall make a device for', async () => {
  expect(whyNoWireguard({ kernel: true })).toBeUndefined();
  const devices = createWireguard({ kernel: true, firstPort: 4_000 });
  const { publicKey, port } = await devices.identity(MARK);
  expect(port).toBe(4_000);
  expect(await devices.identity(MARK)).toEqual({ publicKey, port });
  expect(await devices.ensure(MARK, plan(publicKey))).toMatchObject({ keys: { publicKey } });
  await expect(devices.ensure(MARK, plan(newKeyPair().publicKey))).rejects.toMatchObject({
    code: 'ENOKEY',
  });
  await devices.end(MARK);
  devices.release(MARK);
  expect(await devices.identity(MARK)).not.toEqual({ publicKey, port });
});

test('a program that is named is used, whatever the kernel has', () => {
  expect(whyNoWireguard({ kernel: true, command: '/nowhere' })).toMatch(/\/nowhere is not there/);
});
