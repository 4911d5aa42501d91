import { slot, type Clock } from '@nsm/chain';
import { millis } from '@nsm/identity';
import type { NetworkServiceEndpoint } from '@nsm/proto';
import { withEntry, type RegistryCall, type RegistryElement } from '../call.ts';
import type { Registrations } from '../registrations.ts';
import { toTimestamp } from '../timestamp.ts';

export interface ExpireOptions {
  readonly registrations: Registrations<NetworkServiceEndpoint>;
  readonly clock: Clock;
  /** How long a registration lasts at most, in ms. */
  readonly periodMs: number;
  /** Aborted when the process stops: nothing expires after that. */
  readonly stopping?: AbortSignal | undefined;
  /** Told of each expired endpoint; `error`: it could not be unregistered, and is tried again. */
  readonly onExpired?: ((name: string, error: unknown) => void) | undefined;
}

/** How an endpoint of this registration comes to its end. */
interface Timer {
  /** In ms since 1970. */
  readonly expires: number;
  start(): void;
  stop(): void;
}

/** Late ones, found at a restart or after a failure, are not unregistered faster than this, in ms. */
const MIN_DELAY_MS = 1_000;

const timer = slot<Timer>('expire');

/** When the registration of a scope ends, in ms since 1970; undefined: it does not. */
export const expiryOf = (
  scope: RegistryCall<NetworkServiceEndpoint>['scope'],
): number | undefined => scope.get(timer)?.expires;

/**
 * An endpoint lasts until the first of the tokens that brought it ends, and no longer than a period; a shorter time
 * asked for stays (contract 6.3). Without a refresh it is unregistered, in the turn of its name, before that time by
 * what the caller still had to wait, though by no more than an eighth: a refresh comes after two thirds, and may be
 * late on a busy machine.
 */
export const expire = (options: ExpireOptions): RegistryElement<NetworkServiceEndpoint> => ({
  name: 'expire',
  run: async (call, next) => {
    const { clock, periodMs } = options;
    const tokens = [call.own, call.token].flatMap((token) =>
      token ? [millis(token.expires)] : [],
    );
    const latest = Math.min(clock.now() + periodMs, ...tokens);
    const asked = call.entry.expirationTime;
    const kept = asked !== undefined && millis(asked) <= latest;
    const expires = kept ? millis(asked) : latest;
    arm(call, expires, options);
    const result = await next(
      kept ? call : withEntry(call, { expirationTime: toTimestamp(expires) }),
    );
    const answered = result.entry.expirationTime;
    if (answered && millis(answered) < expires) arm(call, millis(answered), options);
    return result;
  },
});

/** Holds a running timer in the place of the one there was. */
function arm(
  call: RegistryCall<NetworkServiceEndpoint>,
  expires: number,
  { registrations, clock, stopping, onExpired }: ExpireOptions,
): void {
  const { scope, deadline } = call;
  const { name } = call.entry;
  const now = clock.now();
  const lead = deadline === undefined ? 0 : Math.max(0, deadline - now);
  const at = expires - Math.min(lead, Math.max(0, expires - now) / 8);
  let cancel = (): void => undefined;
  const fire = (): void => {
    // Only this incarnation: a refresh, or another endpoint of the name, has put its own timer here.
    const overtaken = (): boolean => stopping?.aborted === true || scope.get(timer) !== mine;
    if (overtaken()) return;
    registrations.unregister(name, { unless: overtaken }).then(
      () => onExpired?.(name, undefined),
      (err: unknown) => onExpired?.(name, err),
    );
  };
  const mine: Timer = {
    expires,
    start: () => (cancel = clock.after(Math.max(MIN_DELAY_MS, at - clock.now()), fire)),
    stop: () => cancel(),
  };
  scope.get(timer)?.stop();
  scope.hold(
    timer,
    mine,
    () => mine.stop(),
    (was) => {
      mine.stop();
      was.start();
    },
  );
  mine.start();
}
