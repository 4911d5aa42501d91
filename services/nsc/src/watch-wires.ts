import type { RequestUrl } from '@nsm/connection';
import { countRequests, type Runtime } from '@nsm/service';
import type { Attempt, Cause } from './attempt.ts';

const CAUSES: Readonly<Record<Cause, string>> = {
  'path is down': 'path_down',
  'wire is dead': 'wire_dead',
  'refresh requested': 'refresh_requested',
};

/**
 * Counts attempts and how long wires took to heal. The client is ready while all of its wires are up, as far as it knows: a refresh
 * that fails leaves the wire as it is.
 */
export function watchWires({
  metrics,
  health,
  clock,
}: Pick<Runtime, 'metrics' | 'health' | 'clock'>): (
  wire: string,
  request: RequestUrl,
  attempt: Attempt,
) => void {
  const count = countRequests(metrics);
  const up = health.depend('wires');
  const down = new Set<string>();
  return (wire, { service }, { kind, ms, error, healing }) => {
    count({ service, ms, error });
    if (error === undefined) down.delete(wire);
    else if (healing !== undefined || kind !== 'refresh') down.add(wire);
    up(down.size === 0);
    if (error === undefined && healing !== undefined)
      metrics.observe('nsm_heal_duration_seconds', (clock.now() - healing.since) / 1_000, {
        cause: CAUSES[healing.cause],
      });
  };
}
