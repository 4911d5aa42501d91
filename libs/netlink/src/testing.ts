import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { parsePrefix } from '@nsm/ip';
import {
  addressReplace,
  awaitAddress,
  awaitLink,
  createNetns,
  deleteNetns,
  linkSet,
  openNetns,
  vethAdd,
  withRtnetlink,
} from './index.ts';
import { close } from './sys.ts';

export { nftDropTcp } from './testing-nft.ts';

/** Two network namespaces by their paths, in a folder for more of them. */
export interface TwoNamespaces {
  directory: string;
  a: string;
  b: string;
}

/** Gives every test of this file two new namespaces, and removes whatever is in their folder afterwards. */
export function twoNamespaces(): TwoNamespaces {
  const two: TwoNamespaces = { directory: '', a: '', b: '' };
  beforeEach(() => {
    two.directory = mkdtempSync(join(tmpdir(), 'nsm-netns-'));
    [two.a, two.b] = [join(two.directory, 'a'), join(two.directory, 'b')];
    createNetns(two.a);
    createNetns(two.b);
  });
  afterEach(() => {
    for (const name of readdirSync(two.directory)) deleteNetns(join(two.directory, name));
    rmSync(two.directory, { recursive: true });
  });
  return two;
}

/** A veth pair `a0` in a, `b0` in b, both up and passing packets, with these addresses. */
export function wire(
  { a, b }: TwoNamespaces,
  addresses: { a: string[]; b: string[] },
): { a: number; b: number } {
  const there = openNetns(b);
  try {
    withRtnetlink(a, (rtnetlink) =>
      rtnetlink.request([
        vethAdd({ name: 'a0', index: 1001 }, { name: 'b0', index: 1002, netns: there }),
      ]),
    );
  } finally {
    close(there);
  }
  const ends = [
    [a, 1001, addresses.a],
    [b, 1002, addresses.b],
  ] as const;
  for (const [netns, index, own] of ends)
    withRtnetlink(netns, (rtnetlink) =>
      rtnetlink.request([
        linkSet(index, { up: true }),
        ...own.map((address) => addressReplace(index, parsePrefix(address))),
      ]),
    );
  for (const [netns, index, own] of ends)
    withRtnetlink(netns, (rtnetlink) => {
      awaitLink(rtnetlink, index);
      for (const address of own) awaitAddress(rtnetlink, parsePrefix(address));
    });
  return { a: 1001, b: 1002 };
}
