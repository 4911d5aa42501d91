import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';

/** What identifies a network namespace for as long as it exists: device and inode of its file. */
export interface NetnsRef {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** A namespace that was found: `fd` is open and verified, `path` is where, which may be gone the next moment. */
export interface FoundNetns {
  readonly fd: number;
  readonly path: string;
}

/** Remembers where namespaces were found, as hints that are verified at every use. Holds no descriptor. */
export interface NetnsFinder {
  /** Opens a namespace; the caller closes the descriptor. @throws NetnsNotFound */
  open(ref: NetnsRef): number;
}

/** No process, mount or descriptor that we can see belongs to the namespace. `code` is ENOENT. */
export class NetnsNotFound extends Error {
  override readonly name = 'NetnsNotFound';
  readonly code = 'ENOENT';
  readonly netns: string;

  constructor(ref: NetnsRef) {
    const netns = formatNetns(ref);
    super(
      `network namespace ${netns} not found: no process visible in /proc, no mount and no open descriptor belongs to it. ` +
        'Either its last process has ended, or it lives in a pid namespace that this process cannot see (hostPID)',
    );
    this.netns = netns;
  }
}

/** How many places are remembered; namespaces come and go for as long as the process runs. */
const HINTS = 4096;

/** The text of a reference as it is on the wire (contract 4.8): `inode://<dev>/<ino>`, decimal. */
export const formatNetns = ({ dev, ino }: NetnsRef): string =>
  `inode://${dev.toString()}/${ino.toString()}`;

/** Reads `inode://<dev>/<ino>`; undefined for any other text. */
export function parseNetns(text: string): NetnsRef | undefined {
  const match = /^inode:\/\/(0|[1-9][0-9]{0,19})\/(0|[1-9][0-9]{0,19})$/.exec(text);
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : { dev: BigInt(match[1]), ino: BigInt(match[2]) };
}

/** The reference of the namespace behind a path or a descriptor. @throws Error ENOENT */
export function netnsOf(file: string | number): NetnsRef {
  const { dev, ino } =
    typeof file === 'number' ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
  return { dev, ino };
}

/**
 * Opens a namespace by its reference, looking at `hint`, at mounted namespaces, at the descriptors of this process and at the
 * processes in /proc, in that order. About 1 ms per 150 processes when only /proc knows it.
 * @throws NetnsNotFound
 */
export function findNetns(ref: NetnsRef, hint?: string): FoundNetns {
  const hinted = hint === undefined ? undefined : openIf(hint, ref);
  if (hint !== undefined && hinted !== undefined) return { fd: hinted, path: hint };
  for (const path of candidates(ref)) {
    const fd = openIf(path, ref);
    if (fd !== undefined) return { fd, path };
  }
  throw new NetnsNotFound(ref);
}

/** A finder with its own memory of hints. */
export function createNetnsFinder(): NetnsFinder {
  const hints = new Map<string, string>();
  return {
    open: (ref) => {
      const key = formatNetns(ref);
      try {
        const { fd, path } = findNetns(ref, hints.get(key));
        hints.set(key, path);
        const [oldest] = hints.keys();
        if (hints.size > HINTS && oldest !== undefined) hints.delete(oldest);
        return fd;
      } catch (error) {
        hints.delete(key);
        throw error;
      }
    },
  };
}

/** Every namespace that has a mount or a process we can see, once each, with a path to open it by. */
export function listNetns(): { readonly netns: string; readonly path: string }[] {
  const found = new Map<string, string>();
  for (const path of ['/proc/thread-self/ns/net', ...mounted(''), ...processes()]) {
    const ref = refOf(path);
    if (ref !== undefined && !found.has(formatNetns(ref))) found.set(formatNetns(ref), path);
  }
  return [...found].map(([netns, path]) => ({ netns, path }));
}

function* candidates(ref: NetnsRef): Generator<string> {
  const paths = function* (): Generator<string> {
    yield '/proc/thread-self/ns/net';
    yield* mounted(ref.ino.toString());
    yield* readdirSync('/proc/thread-self/fd').map((fd) => `/proc/thread-self/fd/${fd}`);
    yield* processes();
  };
  for (const path of paths()) if (same(refOf(path), ref)) yield path;
}

const processes = (): string[] =>
  readdirSync('/proc')
    .filter((entry) => /^[0-9]+$/.test(entry))
    .map((pid) => `/proc/${pid}/ns/net`);

/** Mount points of the network namespace with this inode, or of all of them (proc(5), mountinfo: field 4 is `net:[inode]`). */
function mounted(ino: string): string[] {
  const table = readFileSync('/proc/thread-self/mountinfo', 'utf8');
  const wanted = ino === '' ? ' net:[' : ` net:[${ino}] `;
  if (!table.includes(wanted)) return [];
  return table
    .split('\n')
    .filter((line) => line.includes(wanted))
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => unescape(octal)),
    );
}

const unescape = (octal: string): string => String.fromCharCode(Number.parseInt(octal, 8));

function refOf(path: string): NetnsRef | undefined {
  const stat = (() => {
    try {
      return statSync(path, { bigint: true, throwIfNoEntry: false });
    } catch {
      // A process may have ended, or be none of our business (EACCES): then it is no candidate.
      return undefined;
    }
  })();
  return stat === undefined ? undefined : { dev: stat.dev, ino: stat.ino };
}

function openIf(path: string, ref: NetnsRef): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  // Between the look and the opening the path may have come to mean another namespace.
  if (same(netnsOf(fd), ref)) return fd;
  closeSync(fd);
  return undefined;
}

const same = (a: NetnsRef | undefined, b: NetnsRef): boolean => a?.dev === b.dev && a.ino === b.ino;
