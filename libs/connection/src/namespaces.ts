import { closeSync, openSync, statSync } from 'node:fs';
import type { Connection, Mechanism } from '@nsm/proto';
import type { Descriptors } from '@nsm/rpc';
import { KERNEL, NETNS_URL } from './mechanism.ts';

/** <fcntl.h>: names a file without opening it, as descriptors go over the wire (contract 4.9). */
const O_PATH = 0x20_0000;

/** Where descriptors of network namespaces are found, by `inode://<dev>/<ino>`. */
export interface NamespaceSource {
  /** A descriptor, which the caller closes; undefined: there is none at hand. */
  open(url: string): number | undefined;
}

/** Descriptors of the namespaces that calls under way were given. They are held for as long as such a call needs them. */
export interface Namespaces extends NamespaceSource {
  /** Takes over a descriptor; the answer closes it. */
  hold(url: string, fd: number): () => void;
}

export function createNamespaces(): Namespaces {
  const held = new Map<string, Set<number>>();
  return {
    open: (url) => {
      const [fd] = held.get(url) ?? [];
      return fd === undefined ? undefined : openSync(`/proc/self/fd/${fd}`, O_PATH);
    },
    hold: (url, fd) => {
      const same = held.get(url) ?? new Set();
      held.set(url, same.add(fd));
      return () => {
        if (!same.delete(fd)) return;
        if (same.size === 0) held.delete(url);
        closeSync(fd);
      };
    },
  };
}

/** The namespace of this process, if `url` is its name. */
export const ownNamespace = (url: string): NamespaceSource => ({
  open: (asked) => {
    const { dev, ino } = statSync('/proc/self/ns/net', { bigint: true });
    return asked === url && url === `inode://${dev}/${ino}`
      ? openSync('/proc/self/ns/net', O_PATH)
      : undefined;
  },
});

/** The namespaces that a message names, once each. */
export function namespacesIn(
  connection: Connection,
  preferences: readonly Mechanism[] = [],
): ReadonlySet<string> {
  const mechanisms = [...preferences, ...(connection.mechanism ? [connection.mechanism] : [])];
  return new Set(
    mechanisms
      .filter(({ type }) => type === KERNEL)
      .map(({ parameters }) => parameters[NETNS_URL] ?? '')
      .filter((url) => url.startsWith('inode://')),
  );
}

/** Sends descriptors of the namespaces a message names, of those that `source` has, ahead of the message. */
export function sendNamespaces(
  urls: Iterable<string>,
  source: NamespaceSource,
  descriptors: Descriptors,
): void {
  for (const url of urls) {
    const fd = source.open(url);
    if (fd === undefined) continue;
    try {
      descriptors.send(fd);
    } finally {
      closeSync(fd);
    }
  }
}
