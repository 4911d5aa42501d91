import { describe, expect, test } from '@jest/globals';
import { createFakeKernel } from '../fake-kernel.ts';
import { type Plan, sameWire, type Wireguard } from '../plan.ts';
import { planFrom } from '../plan-from.ts';
import { createReconciler } from '../reconcile.ts';
import { showNamespaces } from '../show.ts';
import { context } from '../testing.ts';
import type { Wire } from '../wire.ts';
import type { WireguardDevices } from './devices.ts';
import { isPublicKey, keyPairOf, newKeyPair } from './key.ts';
import { deviceName } from './name.ts';
import { wireguardMtu } from './plan.ts';
import { formatDevice, parseDevice } from './uapi.ts';
import { createWireguardWires } from './wires.ts';

const OURS = newKeyPair();
const THEIRS = newKeyPair();
const POD = 'inode://4/7';

const wire = (
  side: 'client' | 'endpoint',
  tunnel: Record<string, string> = {},
  more: Partial<Wire> = {},
): Wire => {
  const kernel = { type: 'KERNEL', parameters: { inodeURL: POD, name: 'nsm-1' } };
  const wireguard = {
    type: 'WIREGUARD',
    parameters: {
      src_ip: '192.0.2.1',
      dst_ip: '192.0.2.2',
      src_port: '51821',
      dst_port: '51830',
      src_public_key: OURS.publicKey,
      dst_public_key: THEIRS.publicKey,
      ...tunnel,
    },
  };
  return {
    id: 'c1',
    payload: 'IP',
    context: context(['172.16.1.1/32'], ['172.16.1.0/32']),
    client: side === 'client' ? kernel : wireguard,
    endpoint: side === 'client' ? wireguard : kernel,
    underlay: { mtu: 1500 },
    ...more,
  };
};
const linkOf = ({ link }: Plan): Wireguard => {
  if (link.kind !== 'wireguard') throw new Error(`it is a ${link.kind}`);
  return link;
};

describe('the plan', () => {
  test('of the source has the source address, port and key as its own', () => {
    expect(linkOf(planFrom(wire('client')))).toMatchObject({
      side: 'client',
      local: '192.0.2.1',
      remote: '192.0.2.2',
      port: 51_821,
      remotePort: 51_830,
      publicKey: OURS.publicKey,
      peerKey: THEIRS.publicKey,
      end: { mtu: 1440, mac: '', neighbours: [], addresses: ['172.16.1.1/32'] },
    });
  });

  test('of the destination is its mirror image', () => {
    expect(linkOf(planFrom(wire('endpoint')))).toMatchObject({
      side: 'endpoint',
      local: '192.0.2.2',
      remote: '192.0.2.1',
      port: 51_830,
      remotePort: 51_821,
      publicKey: THEIRS.publicKey,
      peerKey: OURS.publicKey,
      end: { addresses: ['172.16.1.0/32'] },
    });
  });

  test('takes port 51820 where none is named', () => {
    expect(linkOf(planFrom(wire('client', { src_port: '', dst_port: '0' })))).toMatchObject({
      port: 51_820,
      remotePort: 51_820,
    });
  });

  test.each([
    ['payload', {}, { payload: 'ETHERNET' }],
    ['peerKey', { dst_public_key: 'AAAA' }, {}],
    ['dst_ip', { dst_ip: 'nowhere' }, {}],
    ['remote', { dst_ip: 'fd00::2' }, {}],
    ['remotePort', { dst_port: '70000' }, {}],
  ])('is refused for a wrong %s', (field, tunnel, more) => {
    expect(() => planFrom(wire('client', tunnel, more))).toThrow(
      expect.objectContaining({ name: 'PlanError', field }),
    );
  });

  test.each([
    ['192.0.2.1', 1440],
    ['fd00::1', 1420],
  ])('the overhead over %s leaves %i of 1500', (local, mtu) => {
    expect(wireguardMtu(1500, local)).toBe(mtu);
  });

  test('another peer or port is the same wire', () => {
    const other = planFrom(wire('client', { dst_public_key: OURS.publicKey, src_port: '6' }));
    expect(sameWire(planFrom(wire('client')), other)).toBe(true);
  });
});

describe('keys', () => {
  test('are base64 of 32 bytes, and follow from the private one', () => {
    expect(isPublicKey(OURS.publicKey)).toBe(true);
    expect(keyPairOf(OURS.privateKey)).toEqual(OURS);
  });

  // RFC 7748 section 6.1
  test.each([
    [
      '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
      '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
    ],
    [
      '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
      'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    ],
  ])('the public key of %s is that of RFC 7748', (privateKey, publicKey) => {
    expect(keyPairOf(privateKey).publicKey).toBe(Buffer.from(publicKey, 'hex').toString('base64'));
  });

  test.each(['', 'AAAA', 'x'.repeat(44), 'A'.repeat(43)])('%j is none', (text) => {
    expect(isPublicKey(text)).toBe(false);
  });
});

describe('the text of a device', () => {
  test('sets one peer that may send anything, and replaces it only when it is another', () => {
    const plan = linkOf(planFrom(wire('client', { dst_ip: 'fd00::2', src_ip: 'fd00::1' })));
    const text = formatDevice({ link: plan, keys: OURS, newPeer: true });
    expect(text).toBe(
      [
        'set=1',
        `private_key=${OURS.privateKey}`,
        'listen_port=51821',
        'replace_peers=true',
        `public_key=${Buffer.from(THEIRS.publicKey, 'base64').toString('hex')}`,
        'endpoint=[fd00::2]:51830',
        'persistent_keepalive_interval=10',
        'replace_allowed_ips=true',
        'allowed_ip=0.0.0.0/0',
        'allowed_ip=::/0',
        '',
        '',
      ].join('\n'),
    );
    expect(formatDevice({ link: plan, keys: OURS, newPeer: false })).not.toContain('replace_peers');
  });

  test('is read back', () => {
    const plan = linkOf(planFrom(wire('client')));
    expect(parseDevice(formatDevice({ link: plan, keys: OURS, newPeer: true }))).toEqual({
      keys: OURS,
      port: 51_821,
      peers: [{ key: THEIRS.publicKey, endpoint: '192.0.2.2:51830' }],
    });
    expect(parseDevice('errno=0\n\n')).toBeUndefined();
  });
});

describe('wires', () => {
  /** A kernel in memory, whose devices are links that a process would have made in the node's namespace. */
  const world = () => {
    const kernel = createFakeKernel();
    const reconciler = createReconciler(kernel, () => undefined);
    const made: string[] = [];
    const make = (name: string): void => {
      const home = kernel.home();
      const peerIn = kernel.enter('inode://0/2');
      const birth = (n: string) => ({ name: n, index: kernel.newIndex(), mac: '' });
      home.apply([{ op: 'add-veth', link: birth(name), peer: birth(`${name}-x`), peerIn }]);
    };
    const devices: WireguardDevices = {
      identity: async () => ({ publicKey: OURS.publicKey, port: 51_821 }),
      release: () => undefined,
      ensure: async (mark) => {
        const name = deviceName(mark);
        if (made.includes(name)) return { made: false };
        made.push(name);
        make(name);
        return { made: true };
      },
      end: async (mark) => void made.splice(made.indexOf(deviceName(mark)), 1),
    };
    const run = async (job: {
      job: string;
      plan?: Plan;
      was?: Plan | 'same';
    }): Promise<unknown> => {
      if (job.job === 'ensure')
        return reconciler.ensure(job.plan!, job.was === 'same' ? job.plan : job.was);
      if (job.job === 'remove') reconciler.remove(job.plan!);
      return undefined;
    };
    const thread = { run } as Parameters<typeof createWireguardWires>[0];
    return { ...createWireguardWires(thread, devices), thread, kernel, made };
  };

  test('take the device from the node to the workload and program it', async () => {
    const { ensure, kernel } = world();
    await ensure(planFrom(wire('client')));
    expect(
      showNamespaces(kernel, { pod: POD }).map((line) => line.replace(' type veth', '')),
    ).toEqual([
      'ip -n pod link add nsm-1 address  mtu 1440',
      'ip -n pod link set nsm-1 alias nsm:c1/client up',
      'ip -n pod addr add 172.16.1.1/32 dev nsm-1',
      'ip -n pod route add 172.16.1.0/32 dev nsm-1 scope link',
    ]);
  });

  test('are not waited for as links are that have a carrier', async () => {
    const { ensure, kernel } = world();
    const waited: boolean[] = [];
    const enter = kernel.enter.bind(kernel);
    kernel.enter = (netns) => ({
      ...enter(netns),
      settle: (_, { carrier }) => void waited.push(carrier),
    });
    await ensure(planFrom(wire('client')));
    expect(waited).toEqual([false]);
  });

  test('end the device of a wire that is removed', async () => {
    const { ensure, remove, made } = world();
    const plan = planFrom(wire('client'));
    await ensure(plan);
    expect(made).toHaveLength(1);
    await remove(plan);
    expect(made).toEqual([]);
  });

  test('without anything that makes devices are refused, with the remedy', async () => {
    const { thread } = world();
    await expect(
      createWireguardWires(thread, undefined).ensure(planFrom(wire('client'))),
    ).rejects.toThrow(/install wireguard-go, or use VXLAN/);
  });
});
