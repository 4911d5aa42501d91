import { systemClock } from '@nsm/chain';
import { createGrpcTransport } from '@nsm/rpc';
import { openIdentity, type identitySettings } from './identity.ts';
import { createLogger } from './log.ts';
import { probe, type ProbeTarget } from './probe.ts';
import type { Values } from './settings.ts';

/** Asks a process, with an identity as it has (`from`), and sets the exit code: 0 yes, 1 no. */
export async function runProbe(
  name: string,
  target: ProbeTarget,
  from: Values<typeof identitySettings> | undefined,
): Promise<void> {
  const log = createLogger(name, 'error');
  const identity = from && openIdentity(from, { log, clock: systemClock, random: Math.random });
  const transport = createGrpcTransport(identity);
  try {
    await probe(transport, target, Date.now);
  } catch (err) {
    process.stderr.write(`${Error.isError(err) ? err.message : String(err)}\n`);
    process.exitCode = 1;
  } finally {
    transport.close();
    identity?.close();
  }
}
