import { State } from '@nsm/proto';
import type { NsmError } from '@nsm/rpc';
import type { Logger } from './log.ts';
import type { Runtime } from './run.ts';
import { createBound, type Reading } from './telemetry/metrics.ts';

interface Ended {
  readonly op: string;
  readonly connection: { readonly id: string; readonly networkService: string };
  readonly ms: number;
  readonly error: NsmError | undefined;
}

const originOf = ({ code, hop, element, policy, hint }: NsmError): object => ({
  code,
  hop,
  element,
  policy,
  hint,
});

type Watched = Pick<Runtime, 'log' | 'metrics' | 'annotate'>;

/** Logs one line per Request and Close, info where it succeeded, warn where it was refused; counts Requests. */
export function reportOutcome({ log, metrics, annotate }: Watched): (ended: Ended) => void {
  const count = countRequests(metrics);
  return ({ op, connection, ms, error }) => {
    const { id, networkService: service } = connection;
    annotate({ 'nsm.connection': id, 'nsm.service': service });
    if (op === 'request') count({ service, ms, error });
    const fields = { op, connection: id, service, ms };
    if (error) log.warn({ ...fields, ...originOf(error) }, error.message);
    else log.info(fields, `${op} done`);
  };
}

/** Counts Requests and how long they took. */
export function countRequests(
  metrics: Runtime['metrics'],
): (ended: Pick<Ended, 'ms' | 'error'> & { readonly service: string }) => void {
  const bound = createBound();
  return ({ service, ms, error }) => {
    const labels = { service: bound(service, error === undefined), code: error?.code ?? 'ok' };
    metrics.count('nsm_requests_total', labels);
    metrics.observe('nsm_request_duration_seconds', ms / 1_000);
  };
}

/** Tells how many connections there are in which state. */
export function tellConnections(
  metrics: Runtime['metrics'],
  list: () => readonly { readonly state: State }[],
): void {
  const shown = { up: State.UP, down: State.DOWN, refresh_requested: State.REFRESH_REQUESTED };
  metrics.read('nsm_connections', () => {
    const states = list().map(({ state }) => state);
    return Object.entries(shown).map(([name, wanted]): Reading => [
      { state: name },
      states.filter((state) => state === wanted).length,
    ]);
  });
}

/** Logs what the close of a connection could not take down. */
export const logUndoFailure =
  (log: Logger) =>
  (connection: string, failures: readonly unknown[]): void =>
    log.warn(
      { connection, failures: failures.map(String) },
      'not everything could be taken down; it is left to expire',
    );

/** Logs attempts to register, a refusal, and the first success after it; without a registration a process is not ready. */
export function reportRegistration({
  log,
  health,
}: Pick<Runtime, 'log' | 'health'>): (error: NsmError | undefined) => void {
  const up = health.depend('registration');
  let registered = false;
  return (error) => {
    up(error === undefined);
    if (error) log.warn(originOf(error), `cannot register: ${error.message}`);
    else if (!registered) log.info('registered');
    else log.debug('registration refreshed');
    registered = error === undefined;
  };
}
