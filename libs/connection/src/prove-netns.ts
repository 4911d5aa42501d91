import { closeSync, fstatSync, statfsSync } from 'node:fs';
import type { Connection } from '@nsm/proto';
import { NsmError, type Descriptors } from '@nsm/rpc';
import type { Call } from './call.ts';
import { namespacesIn, type NamespaceSource } from './namespaces.ts';
import { pathOf } from './path.ts';

/**
 * What a peer has to show of a namespace it names: `descriptor`, one of it, or that it lives there itself; `lookup`, nothing: whatever
 * has the device and inode it names is looked up.
 */
export type NetnsProof = 'descriptor' | 'lookup';

/** How long a descriptor may come after its message, in ms; it rides on a later write of the same connection. */
const LATE_MS = 800;
/** <linux/magic.h> NSFS_MAGIC */
const NSFS = 0x6e73_6673n;

export interface ProveOptions {
  readonly proof: NetnsProof;
  /** What the peer can show it by; undefined: nothing, as over TCP. */
  readonly descriptors: Descriptors | undefined;
  /** The namespace may be the peer's own: it speaks for itself, not for somebody behind it. */
  readonly own: boolean;
  readonly signal: AbortSignal;
}

/**
 * Opens a namespace that a peer names (`inode://<dev>/<ino>`) by what the peer can show; the caller closes it. Undefined: it has shown
 * nothing, and need not. @throws NsmError permission-denied
 */
export async function proveNetns(
  url: string,
  { proof, descriptors, own, signal }: ProveOptions,
): Promise<number | undefined> {
  const fd = descriptors?.arrived(url);
  if (fd !== undefined) return netnsOnly(url, fd);
  const peer =
    own && descriptors
      ? peersOwn(url, descriptors)
      : 'a peer of another node, or behind another hop, cannot show that it lives there';
  if (typeof peer === 'number') return peer;
  if (proof === 'lookup') return undefined;
  if (!descriptors) throw unproven(url, 'the connection carries no descriptors', peer);
  try {
    const late = AbortSignal.any([signal, AbortSignal.timeout(LATE_MS)]);
    return netnsOnly(url, await descriptors.receive(url, late));
  } catch (err) {
    signal.throwIfAborted();
    if (err instanceof NsmError) throw err;
    throw unproven(url, `timeout in recvfd waiting for ${url}`, peer);
  }
}

/** What comes may be any file; opening some of them waits for somebody else. */
function netnsOnly(url: string, fd: number): number {
  if (statfsSync(`/proc/self/fd/${fd}`, { bigint: true }).type === NSFS) return fd;
  closeSync(fd);
  throw unproven(url, 'the descriptor that came is not of a namespace', undefined);
}

/** The peer's own namespace if it is the one it names, else why it is not taken for it. */
function peersOwn(url: string, descriptors: Descriptors): number | string {
  let fd: number;
  try {
    fd = descriptors.peerNetns();
  } catch (err) {
    const { code = String(err) } = err as NodeJS.ErrnoException;
    return `where the peer lives cannot be told (${code})`;
  }
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const lives = `inode://${dev}/${ino}`;
  if (lives === url) return fd;
  closeSync(fd);
  return `the peer lives in ${lives}`;
}

const unproven = (url: string, came: string, peer: string | undefined): NsmError =>
  new NsmError(
    'permission-denied',
    `mechanism.parameters["inodeURL"]: the peer names ${url} and cannot prove it: ${[came, peer].filter((why) => why !== undefined).join('; ')}`,
    {
      hint: 'send a descriptor of the namespace over the unix socket, ask from within it, or allow lookups by NSM_NETNS_PROOF=lookup',
    },
  );

/**
 * Holds the namespaces that an answer names and `known` does not have, for the rest of the call, by what who answered can show.
 * @throws NsmError permission-denied
 */
export async function holdAnswered(
  call: Call,
  answer: Connection,
  { known, ...options }: Pick<ProveOptions, 'proof' | 'descriptors'> & { known: NamespaceSource },
): Promise<void> {
  const { index, pathSegments } = pathOf(answer);
  // What lies behind the next hop does not live where it does.
  const own = pathSegments.length === index + 2;
  for (const url of namespacesIn(answer)) {
    const there = known.open(url);
    if (there !== undefined) closeSync(there);
    else {
      const fd = await proveNetns(url, { ...options, own, signal: call.signal });
      if (fd !== undefined) call.holdNetns?.(url, fd);
    }
  }
}
