import { expect, test } from '@jest/globals';
import { createFakeKernel } from '../fake-kernel.ts';
import type { Change } from '../kernel.ts';
import type { Plan } from '../plan.ts';
import { planFrom } from '../plan-from.ts';
import { createReconciler } from '../reconcile.ts';
import { showNamespaces } from '../show.ts';
import { context } from '../testing.ts';
import { newKeyPair } from './key.ts';

/** WireGuard devices that the kernel makes, in memory: what is asked of it, and what it has then. */

const [OURS, THEIRS, OTHERS] = [newKeyPair(), newKeyPair(), newKeyPair()];
const PODS = { client: 'inode://4/7', endpoint: 'inode://4/8' };
const keysOf = { client: OURS, endpoint: THEIRS };

const plan = (side: 'client' | 'endpoint', more: Record<string, string> = {}): Plan => {
  const kernel = { type: 'KERNEL', parameters: { inodeURL: PODS[side], name: 'nsm-1' } };
  const parameters = {
    src_ip: '192.0.2.1',
    dst_ip: '192.0.2.2',
    src_port: '51821',
    dst_port: '51830',
    src_public_key: OURS.publicKey,
    dst_public_key: THEIRS.publicKey,
    ...more,
  };
  const tunnel = { type: 'WIREGUARD', parameters };
  return planFrom({
    id: `c1-${side}`,
    payload: 'IP',
    context: context(['172.16.1.1/32'], ['172.16.1.0/32']),
    client: side === 'client' ? kernel : tunnel,
    endpoint: side === 'client' ? tunnel : kernel,
    underlay: { mtu: 1500 },
  });
};

const world = () => {
  const kernel = createFakeKernel();
  const buried: string[] = [];
  const reconciler = createReconciler(kernel, (netns) => buried.push(netns));
  return {
    kernel,
    buried,
    remove: (gone: Plan) => reconciler.remove(gone),
    ensure: (wanted: Plan, was?: Plan) => reconciler.ensure(wanted, was, OURS),
    show: () => showNamespaces(kernel, { pod: PODS.client }),
  };
};
const WIRE = [
  'ip -n pod link add nsm-1 address  mtu 1440 type wireguard',
  'ip -n pod link set nsm-1 alias nsm:c1-client/client up',
  `ip -n pod wg set nsm-1 listen-port 51821 peer ${THEIRS.publicKey} endpoint 192.0.2.2:51830`,
  'ip -n pod addr add 172.16.1.1/32 dev nsm-1',
  'ip -n pod route add 172.16.1.0/32 dev nsm-1 scope link',
];

test('a device is born with the workload, and has its keys and peer before it goes up', () => {
  const { kernel, ensure, show } = world();
  expect(ensure(plan('client'))).toMatchObject({ change: 'made' });
  expect(show()).toEqual(WIRE);
  const { operations } = kernel;
  expect(operations.slice(0, 2)).toEqual(['add-wireguard', 'wireguard']);
  expect(showNamespaces(kernel, { home: kernel.home().netns })).toEqual([]);
});

test('two of them reach each other by their keys', () => {
  const kernel = createFakeKernel();
  const [one, other] = (['client', 'endpoint'] as const).map((side) => {
    const node = kernel.forNode(side === 'client' ? 'inode://0/2' : 'inode://0/3');
    const reconciler = createReconciler(node, () => undefined);
    return (more?: Record<string, string>) =>
      reconciler.ensure(plan(side, more), undefined, keysOf[side]);
  });
  one!();
  other!();
  expect(kernel.reaches(PODS.client, '172.16.1.0')).toBe(true);
  other!({ src_public_key: OTHERS.publicKey });
  expect(kernel.reaches(PODS.client, '172.16.1.0')).toBe(false);
});

test('asked for again it is left alone, by this process and by the next', () => {
  const { kernel, ensure } = world();
  ensure(plan('client'));
  const before = kernel.operations.length;
  expect(ensure(plan('client'), plan('client'))).toMatchObject({ change: 'none' });
  createReconciler(kernel, () => undefined).ensure(plan('client'), undefined, OURS);
  // The settings of the namespace are made again by whoever did not see them made.
  expect(kernel.operations.slice(before).filter((op) => op !== 'sysctl')).toEqual([]);
});

test.each([
  ['another port of the peer keeps the peer', { dst_port: '4000' }, false],
  ['another peer replaces it', { dst_public_key: OTHERS.publicKey }, true],
])('%s, and the link stays', (_, more, newPeer) => {
  const { kernel, ensure, show } = world();
  const settings: Change[] = [];
  const enter = kernel.enter.bind(kernel);
  ensure(plan('client'));
  kernel.enter = (netns) => {
    const space = enter(netns);
    return {
      ...space,
      apply: (changes) => {
        settings.push(...changes);
        space.apply(changes);
      },
    };
  };
  expect(ensure(plan('client', more), plan('client'))).toMatchObject({ change: 'adjusted' });
  expect(settings).toMatchObject([{ op: 'wireguard', setting: { newPeer } }]);
  expect(show()).not.toEqual(WIRE);
  ensure(plan('client'), plan('client', more));
  expect(show()).toEqual(WIRE);
});

test('one whose setting is refused leaves no link', () => {
  const { kernel, ensure, show } = world();
  const enter = kernel.enter.bind(kernel);
  kernel.enter = (netns) => {
    const space = enter(netns);
    return {
      ...space,
      apply: (changes) => {
        if (changes.some(({ op }) => op === 'wireguard')) throw new Error('refused');
        space.apply(changes);
      },
    };
  };
  expect(() => ensure(plan('client'))).toThrow('refused');
  expect(show()).toEqual([]);
});

test('one that is removed waits for the reaper, out of service', () => {
  const { ensure, remove, buried, show } = world();
  ensure(plan('client'));
  remove(plan('client'));
  expect(buried).toEqual([PODS.client]);
  expect(show().join('\n')).not.toMatch(/addr add|route add| up$/m);
});

test('its private key is in no plan, nor in what is shown of it', () => {
  const { ensure, show } = world();
  ensure(plan('client'));
  const secret = Buffer.from(OURS.privateKey, 'hex').toString('base64');
  const told = [JSON.stringify(plan('client')), ...show()].join('\n');
  expect(told).not.toContain(OURS.privateKey);
  expect(told).not.toContain(secret);
});
