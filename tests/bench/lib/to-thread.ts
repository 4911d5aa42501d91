import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { median } from './stats.ts';

const ECHO = `require('node:worker_threads').parentPort.on('message', function (text) { this.postMessage(text); });`;
const TRIPS = { warmUp: 2_000, measured: 2_000 };

/** What a message to a thread that does nothing and its answer take, in ms: no job of the kernel thread takes less. */
export async function toThread(
  message: object,
): Promise<{ readonly ms: number; readonly cpu: number }> {
  const thread = new Worker(ECHO, { eval: true });
  const times: number[] = [];
  let before = process.cpuUsage();
  for (let trip = -TRIPS.warmUp; trip < TRIPS.measured; trip += 1) {
    if (trip === 0) before = process.cpuUsage();
    const started = performance.now();
    thread.postMessage(JSON.stringify(message));
    await once(thread, 'message');
    if (trip >= 0) times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(before);
  await thread.terminate();
  return { ms: median(times), cpu: (user + system) / 1e3 / TRIPS.measured };
}
