import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { inNetns, ping } from '@nsm/netlink';
import type { Place } from './places.ts';
import { median } from './stats.ts';

/** What a link carried in one go. */
interface Carried {
  /** Gbit/s that arrived. */
  readonly gbit: number;
  /** CPU of both ends, in s for each GB that arrived. */
  readonly cpu: number;
}

/** Two processes, one in each pod, that send and receive over whatever links there are between them. */
export interface Carriers {
  /** Sends from the first pod to an address of the second for some ms. */
  send(how: 'tcp' | 'udp', address: string, ms: number): Promise<Carried>;
  close(): Promise<void>;
}

interface Answer {
  readonly ms: number;
  /** CPU of the process since it started, in ms. */
  readonly cpu: number;
  readonly bytes: number;
}

const PORT = 9_000;
/** Datagrams that are on their way when the sender has stopped. */
const DRAIN_MS = 20;

export async function startCarriers(from: Place, to: Place): Promise<Carriers> {
  const [sender, receiver] = [await startPeer(from), await startPeer(to)];
  return {
    send: async (how, address, ms) => {
      const before = [await ask(sender, { job: 'count' }), await ask(receiver, { job: 'count' })];
      const sent = await ask(sender, { job: how, address, ms });
      await new Promise((resolve) => void setTimeout(resolve, DRAIN_MS));
      const came = await ask(receiver, { job: 'count' });
      const cpu = sent.cpu + came.cpu - before.reduce((sum, answer) => sum + answer.cpu, 0);
      return { gbit: (came.bytes * 8) / sent.ms / 1e6, cpu: cpu / 1e3 / (came.bytes / 1e9) };
    },
    close: async () => {
      for (const peer of [sender, receiver]) {
        peer.kill();
        await once(peer, 'exit');
      }
    },
  };
}

async function startPeer({ path }: Place): Promise<ChildProcess> {
  const peer = inNetns(path, () =>
    spawn(process.execPath, [join(import.meta.dirname, 'peer.mjs'), String(PORT)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  await once(peer, 'message');
  return peer;
}

let last = 0;
async function ask(peer: ChildProcess, what: object): Promise<Answer> {
  last += 1;
  peer.send({ id: last, ...what });
  for (;;) {
    const [answer] = (await once(peer, 'message')) as [Answer & { id: number }];
    if (answer.id === last) return answer;
  }
}

const PINGS = 100;
const PING_EVERY_MS = 1;

/** Round-trip time of small pings, median in µs. */
export async function roundTrip({ path }: Place, dst: string): Promise<number> {
  const { rttMs } = await ping({ netns: path, dst, count: PINGS, intervalMs: PING_EVERY_MS });
  return median(rttMs) * 1e3;
}
