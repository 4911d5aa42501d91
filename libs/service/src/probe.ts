import { HealthCheckResponse_ServingStatus as Serving, HealthDefinition } from '@nsm/proto';
import { NsmError, type Dialer } from '@nsm/rpc';

const LIMIT_MS = 5_000;

/**
 * Asks the process that listens on `url` whether it serves (grpc.health.v1), for the health check of a container.
 * @throws NsmError unavailable where it is not serving, or does not answer
 */
export async function probe(dialer: Dialer, url: string, now: () => number): Promise<void> {
  const health = dialer.client(HealthDefinition, url);
  const { status } = await health.check({ service: '' }, { deadline: now() + LIMIT_MS });
  if (status !== Serving.SERVING)
    throw new NsmError('unavailable', `${url} answers, and is not serving`, {
      hint: 'it is starting, draining, or waits for a wire; its log says which',
    });
}

/** What of NSM_LISTEN_ON a probe dials: the first URL, with the loopback address where it names no host. */
export function probeUrl(listenOn: unknown): string | undefined {
  const [first] = [listenOn].flat();
  if (typeof first !== 'string') return undefined;
  return first.replace(/^tcp:\/\/(0\.0\.0\.0)?:/, 'tcp://127.0.0.1:').replace('[::]', '[::1]');
}
