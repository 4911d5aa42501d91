import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  createNetns,
  deleteNetns,
  formatNetns,
  getLink,
  linkSet,
  netnsOf,
  openNetns,
  vethAdd,
  withRtnetlink,
} from '@nsm/netlink';
import { closeSync } from 'node:fs';

/** A network namespace of a benchmark. */
export interface Place {
  /** Its file. */
  readonly path: string;
  /** `inode://<dev>/<ino>` */
  readonly netns: string;
}

/** Namespaces that end with the benchmark. */
export interface Places {
  make(name: string): Place;
  close(): void;
}

export function createPlaces(): Places {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-bench-'));
  const made: string[] = [];
  return {
    make: (name) => {
      const path = join(folder, name);
      createNetns(path);
      made.push(path);
      withRtnetlink(path, (rt) => {
        const lo = getLink(rt, 'lo');
        if (lo !== undefined) rt.request([linkSet(lo, { up: true })]);
      });
      return { path, netns: formatNetns(netnsOf(path)) };
    },
    close: () => {
      for (const path of made) deleteNetns(path);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Joins two nodes by a network, with an address and its length for each. */
export function joinNodes(ends: readonly [[Place, string], [Place, string]]): void {
  const [[one], [other]] = ends;
  const far = openNetns(other.path);
  try {
    withRtnetlink(one.path, (rt) => {
      rt.request([vethAdd({ name: 'eth0' }, { name: 'eth0', netns: far })]);
    });
  } finally {
    closeSync(far);
  }
  for (const [place, address] of ends)
    withRtnetlink(place.path, (rt) => {
      const link = getLink(rt, 'eth0');
      if (link === undefined) throw new Error('eth0 was not made');
      rt.request([linkSet(link, { up: true }), addressReplace(link, parsePrefix(address))]);
    });
}
