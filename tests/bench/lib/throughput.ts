import { once } from 'node:events';
import type { Lab } from '@nsm/lab';
import { median } from './stats.ts';

const SECONDS = 2;
const PORT = 9_000;

/** Receives whatever comes and prints, for each connection, the bits per second it came with. */
const RECEIVE = `
  const s = require('net').createServer((c) => { let n = 0, t = 0n; c.on('data', (d) => { if (!t) t = process.hrtime.bigint(); n += d.length; });
    c.on('end', () => { console.log(n * 8 / (Number(process.hrtime.bigint() - t) / 1e9)); c.end(); }); });
  s.listen(${PORT}, process.argv[1], () => console.log('listening'));`;

/** Sends for some seconds as fast as it can. */
const SEND = `
  const b = Buffer.alloc(1 << 20), end = Date.now() + ${SECONDS * 1_000};
  const c = require('net').connect(${PORT}, process.argv[1], () => { const more = () => { while (Date.now() < end) if (!c.write(b)) return c.once('drain', more); c.end(); }; more(); });
  c.on('close', () => process.exit(0)); c.resume();`;

/** TCP from one pod to an address of another, in bits per second. */
export async function throughput(
  lab: Lab,
  from: string,
  to: string,
  address: string,
): Promise<number> {
  const receiver = lab.spawn(to, [process.execPath, '-e', RECEIVE, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  receiver.stdout?.on('data', (data: Buffer) => (printed += data.toString()));
  await once(receiver.stdout!, 'data');
  await lab.exec(from, [process.execPath, '-e', SEND, address]);
  while (printed.split('\n').length < 3) await once(receiver.stdout!, 'data');
  receiver.kill();
  await once(receiver, 'exit');
  return Number(printed.split('\n')[1]);
}

/** Round-trip time of small pings from a pod, median in ms. */
export async function rtt(lab: Lab, from: string, address: string): Promise<number> {
  const { rttMs } = await lab.ping(from, address, { count: 200, intervalMs: 5, timeoutMs: 1_000 });
  return median(rttMs);
}
