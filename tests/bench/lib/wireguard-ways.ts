import { spawn } from 'node:child_process';
import { existsSync, rmSync, watch } from 'node:fs';
import { createConnection } from 'node:net';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { closeSync } from 'node:fs';
import { type Datapath, type Plan, type WireguardDevices } from '@nsm/datapath';
import { getLink, inNetns, linkSet, openNetns, withRtnetlink } from '@nsm/netlink';
import { programmed } from './by-hand.ts';
import type { Place } from './places.ts';
import type { Way } from './wire-cost.ts';
import { wireguardPlan } from './wires.ts';

const FOLDER = '/var/run/wireguard';

/** A key pair: the public half in base64, as the protocol has it, the private one in hexadecimal digits, as devices do. */
export function keyPair(): { readonly publicKey: string; readonly privateKey: string } {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  // JWK has the 32 bytes of each, in base64url (RFC 8037).
  const bytes = (key: KeyObject, half: 'x' | 'd'): Buffer =>
    Buffer.from(key.export({ format: 'jwk' })[half] ?? '', 'base64url');
  return {
    publicKey: bytes(publicKey, 'x').toString('base64'),
    privateKey: bytes(privateKey, 'd').toString('hex'),
  };
}

/** Nobody answers at the other end of the wires that only cost. */
const peer = { publicKey: keyPair().publicKey, port: 40_000 };

/** Encrypted wires by the data path, keys and ports included. */
export function ourWireguard(datapath: Datapath, devices: WireguardDevices, pod: Place): Way {
  const plans = new Map<number, Plan>();
  const mark = (n: number) => ({ id: `bench-${n}-client`, side: 'client' as const });
  const plan = (n: number): Plan => plans.get(n)!;
  return {
    name: 'ours',
    create: async (n) => {
      const client = await devices.identity(mark(n));
      plans.set(n, wireguardPlan('client', pod, n, { client, endpoint: peer }));
      await datapath.ensure(plan(n));
    },
    refresh: async (n) => {
      await datapath.ensure(plan(n), plan(n));
    },
    close: async (n) => {
      await datapath.remove(plan(n));
      devices.release(mark(n));
    },
    settle: () => undefined,
  };
}

/** The same by hand: a process, its settings, a move, and what any link is programmed with. */
export function wireguardByHand(command: string, pod: Place, node: Place, count: number): Way {
  const wires = Array.from({ length: count }, (_, n) => {
    const keys = keyPair();
    const client = { publicKey: keys.publicKey, port: 45_000 + n };
    return { keys, plan: wireguardPlan('client', pod, n, { client, endpoint: peer }) };
  });
  return {
    name: 'hand',
    create: (n) => makeByHand(command, `hand${n}`, wires[n]!, pod, node),
    refresh: async (n) => {
      await askDevice(`hand${n}`, 'get=1\n\n');
      withRtnetlink(pod.path, (rt) => {
        if (getLink(rt, `b${n}`)?.up !== true) throw new Error(`b${n} is not there`);
      });
    },
    close: async (n) => {
      withRtnetlink(pod.path, (rt) => {
        rt.request([linkSet(getLink(rt, `b${n}`)!, { up: false })]);
      });
      await endDevice(`hand${n}`);
    },
    settle: () => undefined,
  };
}

/** A device with one peer, in its pod and programmed. */
export async function makeByHand(
  command: string,
  device: string,
  { keys, plan }: { readonly keys: { readonly privateKey: string }; readonly plan: Plan },
  pod: Place,
  node: Place,
): Promise<void> {
  if (plan.link.kind !== 'wireguard') throw new Error(`it is a ${plan.link.kind}`);
  const { port, peerKey, remote, remotePort, end } = plan.link;
  await startDevice(command, device, node);
  await askDevice(
    device,
    `set=1\nprivate_key=${keys.privateKey}\nlisten_port=${port}\npublic_key=${Buffer.from(peerKey, 'base64').toString('hex')}\n` +
      `endpoint=${remote}:${remotePort}\npersistent_keepalive_interval=10\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n\n`,
  );
  const target = openNetns(pod.path);
  try {
    withRtnetlink(node.path, (rt) => {
      const dev = getLink(rt, device)!;
      rt.request([
        linkSet(dev, { mtu: end.mtu ?? 1_440 }),
        linkSet(dev, { name: end.name, netns: target }),
      ]);
    });
    withRtnetlink(target, (rt) => {
      rt.request(programmed(getLink(rt, end.name)!.index, end, `hand:${plan.id}`));
    });
  } finally {
    closeSync(target);
  }
}

const socketOf = (device: string): string => `${FOLDER}/${device}.sock`;

async function startDevice(command: string, device: string, node: Place): Promise<void> {
  const there = Promise.withResolvers<undefined>();
  const watcher = watch(FOLDER, () => existsSync(socketOf(device)) && there.resolve(undefined));
  inNetns(node.path, () =>
    spawn(command, ['-f', device], {
      detached: true,
      stdio: 'ignore',
      env: { LOG_LEVEL: 'silent', WG_PROCESS_FOREGROUND: '1' },
    }).unref(),
  );
  await there.promise;
  watcher.close();
}

/** One operation of its configuration protocol; the socket's file is there a moment before somebody accepts. */
async function askDevice(device: string, operation: string): Promise<void> {
  for (;;) {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    let answer = '';
    const connection = createConnection(socketOf(device), () => connection.write(operation));
    connection.on('data', (part) => {
      answer += part.toString();
      if (/^errno=0\n\n/m.test(answer)) connection.end(() => resolve(true));
      else if (/^errno=/m.test(answer)) reject(new Error(`${device}: ${answer}`));
    });
    connection.on('error', () => resolve(false));
    if (await promise) return;
  }
}

/** Ends a device's process, and waits until it has ended. */
export async function endDevice(device: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const connection = createConnection(socketOf(device), () => rmSync(socketOf(device)));
  connection
    .on('close', () => resolve(undefined))
    .on('error', () => undefined)
    .resume();
  await promise;
}
