import type { Lab } from '@nsm/lab';

/** What came of a stream of numbered packets to one address. */
export interface Streamed {
  readonly dst: string;
  readonly sent: number;
  readonly lost: number;
  readonly errors: readonly string[];
}

/** Sends numbered echo requests from a pod to each address, 100 a second, until it is stopped; late answers are waited for. */
export function startStream(
  lab: Lab,
  pod: string,
  addresses: readonly string[],
): { stop(): Promise<readonly Streamed[]> } {
  let running = true;
  const streams = addresses.map(async (dst): Promise<Streamed> => {
    const sum = { sent: 0, received: 0, errors: [] as string[] };
    while (running) {
      const { sent, received, errors } = await lab.ping(pod, dst, {
        count: 25,
        intervalMs: 10,
        timeoutMs: 5_000,
      });
      sum.sent += sent;
      sum.received += received;
      sum.errors.push(...errors);
    }
    return { dst, sent: sum.sent, lost: sum.sent - sum.received, errors: sum.errors };
  });
  return {
    stop: () => {
      running = false;
      return Promise.all(streams);
    },
  };
}
