import type { Clock } from '@nsm/chain';
import { NsmError, type Identity, type IdentitySource } from '@nsm/rpc';

/** The part of a source that all have: the identity of this moment and who wants to know of the next. */
export interface Holder extends IdentitySource {
  /** Another identity has come. */
  set(identity: Identity): void;
  /** Why none comes; told to those who wait in vain. */
  fail(reason: string): void;
}

/** When the leaf of an identity ends, in ms since 1970. */
export const endOf = ({ certificates: [leaf] }: Identity): number => Date.parse(leaf.validTo);

/** Holds what a source was given last, until that expires. `stop` ends the source. */
export function createHolder(clock: Clock, stop: () => void): Holder {
  const listeners = new Set<(identity: Identity) => void>();
  let held: { readonly identity: Identity; readonly end: number } | undefined;
  let fault = 'none has come yet';
  return {
    current: async (signal) => {
      if (held && clock.now() < held.end) return held.identity;
      if (held) fault = `the last one has expired; ${fault}`;
      const { promise, resolve, reject } = Promise.withResolvers<Identity>();
      const refuse = (): void =>
        reject(
          new NsmError('unavailable', `no identity: ${fault}`, {
            hint: 'look at the identity server that SPIFFE_ENDPOINT_SOCKET names, or at the PEM files',
          }),
        );
      if (signal?.aborted) refuse();
      listeners.add(resolve);
      signal?.addEventListener('abort', refuse, { once: true });
      try {
        return await promise;
      } finally {
        listeners.delete(resolve);
        signal?.removeEventListener('abort', refuse);
      }
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: stop,
    set: (identity) => {
      held = { identity, end: endOf(identity) };
      fault = 'no other has come';
      for (const listener of [...listeners]) listener(identity);
    },
    fail: (reason) => void (fault = reason),
  };
}
