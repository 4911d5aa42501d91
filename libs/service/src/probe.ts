import { HealthCheckResponse_ServingStatus as Serving, HealthDefinition } from '@nsm/proto';
import { NsmError, type Dialer } from '@nsm/rpc';
import type { Probe } from './health.ts';

const LIMIT_MS = 5_000;

/** Whom to ask, and what. */
export interface ProbeTarget {
  readonly url: string;
  readonly what: Probe;
}

/**
 * Asks the process that listens on `url` whether it is ready, alive or started (grpc.health.v1), for the probes of a container.
 * @throws NsmError unavailable where it is not, or does not answer
 */
export async function probe(
  dialer: Dialer,
  { url, what }: ProbeTarget,
  now: () => number,
): Promise<void> {
  const health = dialer.client(HealthDefinition, url);
  const { status } = await health.check({ service: what }, { deadline: now() + LIMIT_MS });
  if (status !== Serving.SERVING)
    throw new NsmError('unavailable', `${url} answers, and is not serving (${what})`, {
      hint: 'it is starting, draining, or has lost what it depends on; its log says which',
    });
}

/** What of NSM_LISTEN_ON a probe dials: the first URL, with the loopback address where it names no host. */
export function probeUrl(listenOn: unknown): string | undefined {
  const [first] = [listenOn].flat();
  if (typeof first !== 'string') return undefined;
  return first.replace(/^tcp:\/\/(0\.0\.0\.0)?:/, 'tcp://127.0.0.1:').replace('[::]', '[::1]');
}
