import { closeSync } from 'node:fs';
import { duplicate } from '@nsm/netlink';
import type { Descriptors } from './descriptors.ts';
import { NsmError } from './error.ts';

/** A connection, which has ended once it is destroyed. */
type Carrier = Descriptors & { readonly destroyed: boolean };

/** A channel over a unix socket. */
export interface Followed {
  /** Calls back with the connection there is, and with each that takes its place until the answer is called. */
  follow(to: (connection: Carrier) => void): () => void;
}

/**
 * The descriptors of one call, over whichever connection it goes. A connection may be replaced between what is sent ahead of a call
 * and the call itself, as when its server has a new certificate: until the call is answered, each that takes its place is sent the same.
 */
export class CallDescriptors implements Descriptors {
  #connections: readonly Carrier[] = [];
  #sent: number[] = [];
  #stop: (() => void) | undefined;

  /** Follows the connections of a channel until the call is answered: it goes over no other one then. */
  follow(channel: Followed): void {
    this.#stop = channel.follow((connection) => {
      // No answer comes over one that has ended.
      const open = this.#connections.filter(({ destroyed }) => !destroyed);
      this.#connections = [...open, connection];
      for (const fd of this.#sent) connection.send(fd);
    });
  }

  answered(): void {
    this.#stop?.();
    this.#stop = undefined;
    for (const fd of this.#sent) closeSync(fd);
    this.#sent = [];
  }

  send(fd: number): void {
    this.#connections.at(-1)?.send(fd);
    if (this.#stop) this.#sent.push(duplicate(fd));
  }

  arrived(inode: string): number | undefined {
    return first(this.#connections, (each) => each.arrived(inode));
  }

  shown(inode: string): number | undefined {
    return first(this.#connections, (each) => each.shown(inode));
  }

  async receive(inode: string, signal: AbortSignal): Promise<number> {
    const enough = new AbortController();
    const either = AbortSignal.any([signal, enough.signal]);
    const all = this.#connections.map((each) => each.receive(inode, either));
    try {
      const fd = await Promise.any(all);
      for (const each of all)
        void each.then((other) => {
          if (other !== fd) closeSync(other);
        }, ignore);
      return fd;
    } catch (err) {
      signal.throwIfAborted();
      throw NsmError.from((err as AggregateError).errors[0]);
    } finally {
      enough.abort();
    }
  }

  peerNetns(): number {
    // All of them lead to one server; an older one may have ended.
    const newest = this.#connections.at(-1);
    if (!newest) throw Object.assign(new Error('there is no connection'), { code: 'ESRCH' });
    return newest.peerNetns();
  }
}

function first<T>(
  connections: readonly Descriptors[],
  ask: (connection: Descriptors) => T | undefined,
): T | undefined {
  for (const each of connections) {
    const found = ask(each);
    if (found !== undefined) return found;
  }
  return undefined;
}

const ignore = (): void => undefined;
