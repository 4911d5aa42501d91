import type { Connection } from '@nsm/proto';
import type { Peer } from '@nsm/rpc';

/** What somebody wants to do, or `answer`: has done for us. */
export type Operation = 'request' | 'close' | 'register' | 'unregister' | 'monitor' | 'answer';

/** What policies judge: who wants what, and by which way it came. */
export interface Question {
  readonly op: Operation;
  /** The other end of the connection, as its certificate proves it: the caller, or who answers. */
  readonly peer: Peer;
  /**
   * The tokens of the way, from the origin on; hop k has signed token k for hop k+1, the last one for its caller. Of a call: up to
   * the hop that judges. Of an answer: all. Of a monitor: none.
   */
  readonly tokens: readonly string[];
  /** Which of the tokens is that of the hop that judges. */
  readonly index: number;
  /** ms since 1970. */
  readonly now: number;
  /** Of a request, close or answer. */
  readonly connection?: Connection;
  /** Of a register or unregister: a NetworkService or NetworkServiceEndpoint. */
  readonly entry?: RegistryEntry;
  /** The origin of what is there already under the same id or name; undefined: nothing is, or it is nobody's. */
  readonly owner?: string | undefined;
}

/** What both kinds of registry records have. */
interface RegistryEntry {
  readonly name: string;
  readonly pathIds: readonly string[];
}

/** One rule. */
export interface Policy {
  readonly name: string;
  /** Why it refuses; undefined: it does not. */
  refuses(question: Question): string | undefined;
}

/** Whether a call only takes away: whoever made something may still do so when the tokens that came with it have ended. */
export const isEnding = ({ op }: Question): boolean => op === 'close' || op === 'unregister';
