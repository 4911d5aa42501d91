import { closeSync, fstatSync } from 'node:fs';
import type { Descriptors } from './descriptors.ts';
import { NsmError } from './error.ts';

/** How long a descriptor may come after the message that names its file, in ms. */
const LATE_MS = 800;

/** Whether a URL names a socket file that goes as a descriptor. */
export const isPassed = (url: string): boolean => url.startsWith('inode://');

/**
 * Socket files that came as descriptors (contract 4.9): workloads without a common file system reach each other by them. Their URL,
 * `inode://<dev>/<ino>`, can be dialled for as long as somebody holds it.
 */
export interface PassedSockets {
  /** Waits for the descriptor of a URL and holds it; the answer lets it go. @throws NsmError */
  receive(
    url: string,
    descriptors: Descriptors | undefined,
    signal: AbortSignal,
  ): Promise<() => void>;
  /** Sends the descriptor of a URL on, if it is held. */
  send(url: string, descriptors: Descriptors): void;
}

interface Held {
  readonly fd: number;
  holders: number;
}

/** `onGone` is told of the target of a URL that nobody holds any more: its number may become another file's. */
export function createPassedSockets(
  onGone: (target: string) => void,
): PassedSockets & { target(url: string): string } {
  const all = new Map<string, Held>();
  const targetOf = ({ fd }: Held): string => `unix:/proc/self/fd/${fd}`;
  return {
    receive: async (url, descriptors, signal) => {
      const fd = await socketFrom(url, descriptors, signal);
      const known = all.get(url);
      if (known) closeSync(fd);
      const held = known ?? { fd, holders: 0 };
      all.set(url, held);
      held.holders += 1;
      let released = false;
      return () => {
        if (released) return;
        released = true;
        held.holders -= 1;
        if (held.holders > 0) return;
        all.delete(url);
        onGone(targetOf(held));
        closeSync(held.fd);
      };
    },
    send: (url, descriptors) => {
      const held = all.get(url);
      if (held) descriptors.send(held.fd);
    },
    target: (url) => {
      const held = all.get(url);
      if (held) return targetOf(held);
      throw new NsmError('unavailable', `url: no descriptor of the socket ${url} is held here`);
    },
  };
}

async function socketFrom(
  url: string,
  descriptors: Descriptors | undefined,
  signal: AbortSignal,
): Promise<number> {
  const missing = (why: string): NsmError =>
    new NsmError('invalid-argument', `url: ${url} names a socket file, and ${why}`, {
      hint: 'send a descriptor of it over the unix socket, or register unix:///path or tcp://host:port',
    });
  if (!descriptors) throw missing('the connection carries no descriptors');
  let fd: number;
  try {
    fd = await descriptors.receive(url, AbortSignal.any([signal, AbortSignal.timeout(LATE_MS)]));
  } catch {
    signal.throwIfAborted();
    throw missing(`no descriptor of it has come: timeout in recvfd waiting for ${url}`);
  }
  if (fstatSync(fd).isSocket()) return fd;
  closeSync(fd);
  throw missing('what came is no socket');
}
