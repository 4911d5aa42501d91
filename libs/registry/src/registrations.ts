import { Scope } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import type { Registered, RegistryCall, RegistryElement, RegistryNext } from './call.ts';
import type { Entry } from './kind.ts';

/** How an unregistration is made. */
export interface LeaveOptions {
  /** Asked in the turn: true stops a clean-up that a newer registration has overtaken. */
  readonly unless?: ((scope: Scope) => boolean) | undefined;
  /** Run in the turn before anything is undone. */
  readonly before?: ((scope: Scope) => void) | undefined;
}

/** The registrations of one kind that a process holds: one queue and one scope per name. */
export interface Registrations<T extends Entry> {
  register(call: RegistryCall<T>, next: RegistryNext<T>): Promise<Registered<T>>;
  /** Undoes what a name holds. An unknown name is no error. Fails where an undo failed. */
  unregister(name: string, options?: LeaveOptions): Promise<void>;
  /** Runs `body` in the turn of a registered name; of any other it does nothing. */
  visit(name: string, body: (scope: Scope) => Promise<void>): Promise<void>;
  /** Takes up what a lasting store holds, as after a restart. */
  restore(name: string): Promise<void>;
  names(): readonly string[];
}

export interface RegistrationsOptions {
  /** Holds again, in `scope`, what is stored of a name; also asked where an unregistration failed. */
  readonly restore?: (name: string, scope: Scope) => Promise<void>;
}

interface Held {
  readonly scope: Scope;
  registered: boolean;
  /** The last turn taken; the next one waits for it. It does not reject. */
  tail: Promise<void>;
}

export function createRegistrations<T extends Entry>({
  restore,
}: RegistrationsOptions = {}): Registrations<T> {
  const all = new Map<string, Held>();

  /** Queues `body` for a name. An entry that another turn has removed meanwhile is replaced by a fresh one. */
  const turn = <R>(name: string, body: (held: Held) => Promise<R>): Promise<R> => {
    const held = all.get(name) ?? {
      scope: new Scope(),
      registered: false,
      tail: Promise.resolve(),
    };
    all.set(name, held);
    const done = held.tail.then(async () => {
      if (all.get(name) !== held) return turn(name, body);
      try {
        return await body(held);
      } finally {
        if (!held.registered && held.tail === settled) all.delete(name);
      }
    });
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    held.tail = settled;
    return done;
  };

  const restoreHeld = async (name: string, held: Held): Promise<void> => {
    await restore?.(name, held.scope);
    held.registered = !held.scope.empty;
  };

  return {
    register: (call, next) =>
      turn(call.entry.name, async (held) => {
        const registered = await next({ ...call, scope: held.scope });
        held.scope.commit();
        held.registered = true;
        return registered;
      }),
    unregister: async (name, { unless, before } = {}) => {
      if (!all.has(name)) return;
      await turn(name, async (held) => {
        if (unless?.(held.scope)) return;
        before?.(held.scope);
        held.registered = false;
        const failures = await held.scope.close();
        if (failures.length === 0) return;
        await restoreHeld(name, held);
        throw failed(name, failures);
      });
    },
    visit: async (name, body) => {
      if (!all.has(name)) return;
      await turn(name, async (held) => {
        if (held.registered) await body(held.scope);
      });
    },
    restore: (name) => turn(name, (held) => restoreHeld(name, held)),
    names: () => [...all].flatMap(([name, { registered }]) => (registered ? [name] : [])),
  };
}

function failed(name: string, failures: readonly unknown[]): NsmError {
  const errors = failures.map((failure) => NsmError.from(failure));
  const text = errors.map(({ message }) => message).join('; ');
  const first = errors[0];
  return new NsmError(
    first?.code ?? 'internal',
    `${name} could not be unregistered: ${text}`,
    first?.fields(new AggregateError(failures)) ?? {},
  );
}

/**
 * One turn at a time per name: what stands below runs for Register only, with the name's scope, and an Unregister is
 * its unwinding (contract 3.3, for registries 6.3). `before` gets the Unregister before that.
 */
export const begin = <T extends Entry>(
  registrations: Registrations<T>,
  before?: (scope: Scope, call: RegistryCall<T>) => void,
): RegistryElement<T> => ({
  name: 'begin',
  run: async (call, next) => {
    if (call.op === 'register') return registrations.register(call, next);
    await registrations.unregister(call.entry.name, {
      before: (scope) => before?.(scope, call),
    });
    return { entry: call.entry, path: call.path };
  },
});
