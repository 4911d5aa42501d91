import { slot, type Clock, type Scope } from '@nsm/chain';
import { millis } from '@nsm/identity';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import type { Connections } from '../connections.ts';
import { EXPIRED } from '../news.ts';
import { callerSegment } from '../path.ts';

interface Timer {
  readonly arm: () => void;
  readonly cancel: () => void;
}
const timer = slot<Timer>('expire');

/**
 * Closes a connection that its caller does not refresh before its token ends (contract 2.5). A timer belongs to the
 * request that set it: a refresh or a new connection of the same id has another, and this one then does nothing.
 */
export const expire = (connections: Connections, clock: Clock): ConnectionElement => ({
  name: 'expire',
  async run(call, next) {
    const caller = callerSegment(call.connection);
    if (caller && !caller.expires)
      throw new NsmError(
        'invalid-argument',
        `expiration for the previous path segment cannot be nil: segment "${caller.name}" of connection ${call.connection.id}`,
        {
          hint: 'send the headers nsm-client-token and nsm-client-token-expires',
        },
      );
    const left = call.deadline === undefined ? 0 : Math.max(0, call.deadline - clock.now());
    const answer = await next(call);
    const expires = callerSegment(answer)?.expires;
    if (!expires) return answer; // the origin has no caller
    const lifetime = millis(expires) - clock.now();
    // A close that has to be through in time starts early, but a short token is not spent on that.
    const due = millis(expires) - Math.min(left, Math.max(0, lifetime) / 4);
    arm(call.scope, answer.id, due, { connections, clock });
    return answer;
  },
});

/** Holds a running timer in the place of the one there was. Apart from the run, whose call would live as long as the timer. */
function arm(
  scope: Scope,
  id: string,
  due: number,
  { connections, clock }: { readonly connections: Connections; readonly clock: Clock },
): void {
  let stop = (): void => undefined;
  const mine: Timer = {
    arm: () => {
      stop = clock.after(
        due - clock.now(),
        () =>
          void connections.close(id, {
            unless: () => scope.get(timer) !== mine,
            cause: EXPIRED,
          }),
      );
    },
    cancel: () => stop(),
  };
  scope.get(timer)?.cancel();
  mine.arm();
  scope.hold(timer, mine, mine.cancel, (was) => {
    mine.cancel();
    was.arm();
  });
}
