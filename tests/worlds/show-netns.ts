import { closeSync, openSync } from 'node:fs';
import { namespacesIn } from '@nsm/connection';
import { findNetns, netnsOf, parseNetns } from '@nsm/netlink';
import type { Connection, NetworkServiceRequest } from '@nsm/proto';
import type { CallOptions } from '@nsm/rpc';

const O_PATH = 0x20_0000;
/** Where namespaces were found: looking for them takes longer than a request. */
const places = new Map<string, string>();

/** Shows descriptors of the namespaces that a message names, as their owner does; a world without a kernel has none to show. */
export const showNetns =
  (
    connection: Connection | undefined,
    preferences: NetworkServiceRequest['mechanismPreferences'] = [],
  ): CallOptions['onConnection'] =>
  (descriptors) => {
    if (!descriptors || !connection) return;
    for (const url of namespacesIn(connection, preferences)) {
      const fd = open(url);
      if (fd === undefined) continue;
      descriptors.send(fd);
      closeSync(fd);
    }
  };

function open(url: string): number | undefined {
  const ref = parseNetns(url);
  if (!ref) return undefined;
  try {
    const place = places.get(url) ?? closed(findNetns(ref));
    const fd = openSync(place, O_PATH);
    const { dev, ino } = netnsOf(fd);
    if (dev === ref.dev && ino === ref.ino) {
      places.set(url, place);
      return fd;
    }
    closeSync(fd);
  } catch {
    // It may be gone, or made up.
  }
  places.delete(url);
  return undefined;
}

const closed = ({ fd, path }: ReturnType<typeof findNetns>): string => {
  closeSync(fd);
  return path;
};
