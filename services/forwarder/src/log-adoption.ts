import type { Logger, Observer } from '@nsm/service';
import type { Adoption } from './forwarder.ts';

/** Logs what is done with wires that nobody asked for it: info where all is well again, warn where it is not. */
export const logAdoption =
  (log: Logger) =>
  (adoption: Adoption): void => {
    switch (adoption.event) {
      case 'found': {
        if (adoption.links.length === 0) return;
        log.info({ links: adoption.links.length }, 'links of an earlier run wait to be claimed');
        return;
      }
      case 'swept': {
        for (const { id, side, netns, name } of adoption.links)
          log.info(
            { connection: id, side, netns, interface: name },
            'swept: nobody has claimed it',
          );
        for (const err of adoption.failures) log.warn({ err }, 'a link could not be swept');
        return;
      }
      case 'deaf': {
        log.info(
          'links of workloads are not listened to without CAP_NET_BROADCAST: one that is changed by hand is repaired at its next refresh',
        );
        return;
      }
      case 'disturbed': {
        const { id, outcome, error } = adoption;
        if (outcome === 'down')
          log.warn({ connection: id, err: error }, 'a link was changed by hand: DOWN');
        else log.info({ connection: id }, `a link was changed by hand: ${outcome}`);
      }
    }
  };

/** Tells observers of what was swept and repaired. Links know their connection by this hop's id alone. */
export function tellAdoption(observer: Observer, adoption: Adoption): void {
  if (adoption.event === 'swept')
    for (const { id, name } of adoption.links)
      observer.tell({
        kind: 'sweep',
        connection: id,
        cause: `nobody has claimed ${name}`,
      });
  if (adoption.event === 'disturbed')
    observer.tell({
      kind: 'repair',
      connection: adoption.id,
      cause: `a link was changed by hand: ${adoption.outcome}`,
    });
}
