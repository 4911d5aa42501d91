import { slot, type Clock } from '@nsm/chain';
import type { NetworkServiceEndpoint, Timestamp } from '@nsm/proto';
import { withEntry, type RegistryElement } from '../call.ts';
import { toTimestamp } from '../timestamp.ts';

const firstSeen = slot<Timestamp>('registration-time');

/** An endpoint keeps the time at which its name was first seen, until it is unregistered (contract 6.3). */
export const setRegistrationTime = (clock: Clock): RegistryElement<NetworkServiceEndpoint> => ({
  name: 'set-registration-time',
  run: (call, next) => {
    const time =
      call.scope.get(firstSeen) ?? call.entry.initialRegistrationTime ?? toTimestamp(clock.now());
    call.scope.hold(firstSeen, time, () => undefined);
    const { initialRegistrationTime } = call.entry;
    return next(
      time === initialRegistrationTime ? call : withEntry(call, { initialRegistrationTime: time }),
    );
  },
});
