import { pause, slot, type Clock, type Scope } from '@nsm/chain';
import { expiryOf } from '@nsm/identity';
import { NsmError, type ErrorCode } from '@nsm/rpc';
import type { RegistryCall, RegistryElement } from '../call.ts';
import type { KindCache } from '../cache.ts';
import { ATTEMPT_MS, type KindClient } from '../client.ts';
import type { Entry } from '../kind.ts';
import { emptyPath, type RegistryPath } from '../registry-path.ts';

/** What the registry above was asked to keep. */
interface Above<T> {
  readonly sent: T;
  /** The path of the next call for it. */
  readonly path: RegistryPath;
}

/** Registers with the registry above, and takes it back there. */
export interface RegisterAbove<T extends Entry> {
  readonly element: RegistryElement<T>;
  /** An Unregister has come: it brings fresher tokens than the registration did. */
  readonly leaving: (scope: Scope, call: RegistryCall<T>) => void;
  /** The registry above has lost the entry of this scope: registers it there again, as it was. */
  readonly again: (scope: Scope, signal: AbortSignal) => Promise<void>;
}

const RETRY_MS = 200;

/** Failures after which nobody knows whether the registry above has the entry. */
const unanswered: ReadonlySet<ErrorCode> = new Set([
  'unavailable',
  'deadline',
  'cancelled',
  'internal',
]);

export function registerAbove<T extends Entry>(
  client: Pick<KindClient<T>, 'kind' | 'register' | 'unregister'>,
  cache: Pick<KindCache<T>, 'put' | 'forget'>,
  clock: Clock,
): RegisterAbove<T> {
  const above = slot<Above<T>>('registered-above');

  const register = async (
    { sent, path }: Above<T>,
    signal: AbortSignal,
    deadline = clock.now() + ATTEMPT_MS,
  ): Promise<{ held: Above<T>; entry: T }> => {
    const answered = await client.register(sent, { path, signal, deadline });
    cache.put(answered.entry);
    return { held: { sent, path: answered.path }, entry: answered.entry };
  };

  const unregister = async ({ sent, path }: Above<T>, signal: AbortSignal): Promise<void> => {
    cache.forget(sent.name);
    for (;;) {
      try {
        await client.unregister(sent, { path, signal });
        return;
      } catch (err) {
        if (!NsmError.from(err).retry) throw err;
        await pause(clock, RETRY_MS, signal);
        if (signal.aborted) throw err;
      }
    }
  };

  const hold = (scope: Scope, held: Above<T>): void =>
    scope.hold(above, held, (signal) => unregister(held, signal));

  return {
    element: {
      name: 'register-above',
      run: async (call, next) => {
        const { entry: sent, path, scope, signal, deadline } = call;
        const held: Above<T> = { sent, path };
        let outcome: 'answered' | 'refused' | 'unknown' = 'unknown';
        scope.hold(
          above,
          held,
          async (undo) => {
            if (outcome === 'answered') return unregister(held, undo);
            // A service that was refused or not answered may be somebody else's, and an endpoint that was refused too.
            if (outcome === 'refused' || client.kind.noun === 'NetworkService') return;
            // Nobody waits for more than one attempt: what is there after all expires.
            await client.unregister(sent, { path, signal: undo }).catch(() => undefined);
          },
          async (was, undo) => {
            if (outcome === 'answered') await register(was, undo);
          },
        );
        const answered = await register(held, signal, deadline).catch((err: unknown) => {
          if (!unanswered.has(NsmError.from(err).code)) outcome = 'refused';
          throw err;
        });
        outcome = 'answered';
        hold(scope, answered.held);
        return next({ ...call, entry: answered.entry, path: answered.held.path });
      },
    },
    leaving: (scope, { path }) => {
      const held = scope.get(above);
      if (held) hold(scope, { ...held, path });
    },
    again: async (scope, signal) => {
      const held = scope.get(above);
      if (!held) return;
      // The tokens that brought it may have ended: then it comes in the name of this hop.
      const { index, tokens } = held.path;
      const over = tokens.slice(0, index).some((token) => expiryOf(token) <= clock.now());
      const fresh = over ? { ...held, path: emptyPath } : held;
      const answered = await register(fresh, signal);
      hold(scope, answered.held);
      scope.commit();
    },
  };
}
