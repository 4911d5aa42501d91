import type { NsmError } from '@nsm/rpc';
import type { Logger } from './log.ts';

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

/** Logs one line per Request and Close: info where it succeeded, warn where it was refused. */
export const logOutcome =
  (log: Logger) =>
  ({ op, connection, ms, error }: Ended): void => {
    const fields = { op, connection: connection.id, service: connection.networkService, ms };
    if (error) log.warn({ ...fields, ...originOf(error) }, error.message);
    else log.info(fields, `${op} done`);
  };

/** Logs what the close of a connection could not take down. */
export const logUndoFailure =
  (log: Logger) =>
  (connection: string, failures: readonly unknown[]): void =>
    log.warn(
      { connection, failures: failures.map(String) },
      'not everything could be taken down; it is left to expire',
    );

/** Logs attempts to register: a refusal, and the first success after it. */
export function logRegistration(log: Logger): (error: NsmError | undefined) => void {
  let registered = false;
  return (error) => {
    if (error) log.warn(originOf(error), `cannot register: ${error.message}`);
    else if (!registered) log.info('registered');
    else log.debug('registration refreshed');
    registered = error === undefined;
  };
}
