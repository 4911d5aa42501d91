import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { chain } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { insecureTokens } from '@nsm/identity';
import { createPolicies } from '@nsm/policy';
import { Connection, type Empty } from '@nsm/proto';
import { createMemoryTransport } from '@nsm/rpc';
import type { Call } from '../call.ts';
import { createNamespaces, ownNamespace } from '../namespaces.ts';
import type { NetnsProof } from '../prove-netns.ts';
import { callOf, echo, kernel } from '../testing.ts';
import { connect } from './connect.ts';
import { receiveNetns } from './receive-netns.ts';
import { sendNetns } from './send-netns.ts';

const OWN = '/proc/self/ns/net';
const nameOf = (fd: number): string => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `inode://${dev}/${ino}`;
};
const own = (() => {
  const fd = openSync(OWN, 'r');
  const name = nameOf(fd);
  closeSync(fd);
  return name;
})();
const OTHER = 'inode://4/1';
const open = (): number => readdirSync('/proc/self/fd').length;

/** A line over which `comes` has come, from a peer that lives in our namespace, or cannot be told. */
const lineOf = (comes: readonly string[] = [], peer: 'here' | 'hidden' = 'hidden') => {
  const sent: string[] = [];
  const arrived = (inode: string): number | undefined =>
    comes.includes(inode) ? openSync(inode === own ? OWN : '/dev/null', 'r') : undefined;
  return {
    sent,
    arrived,
    shown: arrived,
    send: (fd: number) => void sent.push(nameOf(fd)),
    receive: (_inode: string, signal: AbortSignal) =>
      new Promise<number>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
      ),
    peerNetns: () => {
      if (peer === 'here') return openSync(OWN, 'r');
      throw Object.assign(new Error('no'), { code: 'EPERM' });
    },
  };
};

/** What is held of a namespace while the rest of the chain runs, and how many descriptors are open after it. */
async function run(
  url: string,
  change: Partial<Call>,
  proof: NetnsProof = 'descriptor',
  index = 0,
): Promise<string | undefined> {
  const namespaces = createNamespaces();
  const before = open();
  let held: string | undefined;
  const element = receiveNetns({ namespaces, proof });
  const pathSegments = Array.from({ length: index + 1 }, (_, i) => ({ name: `n${i}`, id: `${i}` }));
  const call = callOf(
    { path: { index, pathSegments } },
    { preferences: [kernel({ inodeURL: url })], ...change },
  );
  try {
    await chain(element).run(call, async (last) => {
      const fd = namespaces.open(url);
      if (fd !== undefined) {
        held = nameOf(fd);
        closeSync(fd);
      }
      return last.connection;
    });
    return held;
  } finally {
    expect(open()).toBe(before);
    expect(namespaces.open(url)).toBeUndefined();
  }
}

describe('receive-netns', () => {
  test('holds what came for as long as the call is under way, and no longer', async () => {
    expect(await run(own, { descriptors: lineOf([own]) })).toBe(own);
  });

  test('holds the own namespace of a caller who sent nothing', async () => {
    expect(await run(own, { descriptors: lineOf([], 'here') })).toBe(own);
  });

  test.each<[string, string, Partial<Call>, number, string]>([
    [
      'that of somebody else',
      OTHER,
      { descriptors: lineOf([], 'here') },
      0,
      `the peer lives in ${own}`,
    ],
    [
      'what comes from behind its hop',
      own,
      { descriptors: lineOf([], 'here') },
      1,
      'behind another hop',
    ],
    ['one, and cannot be told', own, { descriptors: lineOf() }, 0, 'cannot be told (EPERM)'],
    ['one over TCP', own, { descriptors: undefined }, 0, 'carries no descriptors'],
    ['what is no namespace', OTHER, { descriptors: lineOf([OTHER]) }, 0, 'not of a namespace'],
  ])('refuses a peer that names %s', async (_what, url, change, index, text) => {
    await expect(run(url, change, 'descriptor', index)).rejects.toMatchObject({
      code: 'permission-denied',
      message: expect.stringContaining(text),
    });
  });

  test('lets it pass where lookups are allowed, but not a file that is no namespace', async () => {
    expect(await run(OTHER, { descriptors: undefined }, 'lookup')).toBeUndefined();
    await expect(run(OTHER, { descriptors: lineOf([OTHER]) }, 'lookup')).rejects.toMatchObject({
      code: 'permission-denied',
    });
  });

  test('a close may bring one, and need not', async () => {
    const close = { op: 'close' as const, preferences: [] };
    expect(await run(OTHER, { ...close, descriptors: lineOf() })).toBeUndefined();
  });

  test('a close leaves what came for a request', async () => {
    const taken: string[] = [];
    const line = { ...lineOf([own]), arrived: (inode: string) => void taken.push(inode) };
    const connection = Connection.fromPartial({ mechanism: kernel({ inodeURL: own }) });
    expect(await run(own, { op: 'close', connection, descriptors: line })).toBe(own);
    expect(taken).toEqual([]);
  });

  test('an abort ends the wait', async () => {
    const giveUp = new AbortController();
    const call = run(own, { descriptors: lineOf(), signal: giveUp.signal });
    giveUp.abort(new Error('caller gone'));
    await expect(call).rejects.toThrow('caller gone');
  });
});

describe('connect', () => {
  const clock = createFakeClock(Date.now());
  const target = { name: 'peer', url: 'unix:///peer' };
  /** Asks a next hop that answers `mechanism`, with `comes` beside it. */
  async function ask(answered: string, comes: readonly string[], held: readonly string[] = []) {
    const line = lineOf(comes);
    const closed: string[] = [];
    const namespaces = createNamespaces();
    const releases = held.map((url) => namespaces.hold(url, openSync(OWN, 'r')));
    const client = {
      request: async (
        { connection }: { connection: Connection },
        { onConnection }: { onConnection: (at: typeof line) => void },
      ) => {
        onConnection(line);
        return Connection.fromPartial({ ...connection, mechanism: kernel({ inodeURL: answered }) });
      },
      close: async (
        { id }: Connection,
        { onConnection }: { onConnection: (at: typeof line) => void },
      ): Promise<Empty> => {
        onConnection(line);
        closed.push(id);
        return {};
      },
    };
    const element = connect({
      dialer: { ...createMemoryTransport(), client: () => client as never },
      tokens: insecureTokens('me', 60_000, clock),
      policies: createPolicies(),
      clock,
      namespaces,
      netnsProof: 'descriptor',
    });
    const call = callOf(
      { id: 'a', path: { index: 0, pathSegments: [{}, {}] } },
      {
        target,
        preferences: [kernel({ inodeURL: own })],
        holdNetns: (url, fd) => void releases.push(namespaces.hold(url, fd)),
      },
    );
    try {
      await chain(element).run(call, echo);
      const there = namespaces.open(answered);
      if (there !== undefined) closeSync(there);
      await call.scope.close();
      return { sent: line.sent, held: there !== undefined, closed };
    } finally {
      for (const release of releases) release();
      expect(call.scope.empty).toBe(true);
    }
  }

  test('sends what it has of the namespaces it names, with the close too', async () => {
    expect(await ask(own, [], [own])).toEqual({ sent: [own, own], held: true, closed: ['a'] });
  });

  test('holds a namespace that is answered, if it can be proven', async () => {
    expect(await ask(own, [own])).toMatchObject({ held: true });
  });

  test('leaves a next hop that answers one it cannot prove', async () => {
    await expect(ask(OTHER, [])).rejects.toMatchObject({ code: 'permission-denied' });
  });
});

test('send-netns sends the own namespace with the answer that names it', async () => {
  const line = lineOf();
  const element = sendNetns(ownNamespace(own));
  await element.run(callOf({ mechanism: kernel({ inodeURL: own }) }, { descriptors: line }), echo);
  await element.run(
    callOf({ mechanism: kernel({ inodeURL: OTHER }) }, { descriptors: line }),
    echo,
  );
  expect(line.sent).toEqual([own]);
});
