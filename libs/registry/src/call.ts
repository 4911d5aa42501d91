import type { BaseCall, Element, Next } from '@nsm/chain';
import type { Token } from '@nsm/identity';
import type { Descriptors, Peer } from '@nsm/rpc';
import type { Entry } from './kind.ts';
import type { RegistryPath } from './registry-path.ts';

/** A Register or Unregister on its way through a chain. */
export interface RegistryCall<T extends Entry> extends BaseCall {
  readonly op: 'register' | 'unregister';
  readonly entry: T;
  /** As the caller sent it; after update-path as this hop holds it. */
  readonly path: RegistryPath;
  /** Who calls, as its connection proves it; undefined where connections prove nothing. */
  readonly peer?: Peer | undefined;
  /** What goes beside the messages of the caller's connection; undefined where nothing can. */
  readonly descriptors?: Descriptors | undefined;
  /** The caller's token; undefined: none came. */
  readonly token: Token | undefined;
  /** This hop's token for the caller; set by update-path. */
  readonly own: Token | undefined;
  /** When the caller stops waiting, in ms since 1970; undefined: never. */
  readonly deadline: number | undefined;
}

/** What a registration became. */
export interface Registered<T extends Entry> {
  readonly entry: T;
  readonly path: RegistryPath;
}

export type RegistryElement<T extends Entry> = Element<RegistryCall<T>, Registered<T>>;

export type RegistryNext<T extends Entry> = Next<RegistryCall<T>, Registered<T>>;

/** The end of a chain: the registration is what has come this far. */
export const answer = async <T extends Entry>({
  entry,
  path,
}: RegistryCall<T>): Promise<Registered<T>> => ({ entry, path });

/** A copy of the call with its entry changed. */
export const withEntry = <T extends Entry>(
  call: RegistryCall<T>,
  change: Partial<T>,
): RegistryCall<T> => ({ ...call, entry: { ...call.entry, ...change } });
