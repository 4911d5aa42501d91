import { closeSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { findNetns, parseNetns } from './netns-find.ts';
import * as sys from './sys.ts';

/** A network namespace: a path of its file, a reference `inode://<dev>/<ino>`, or an open descriptor of its file. */
export type Netns = string | number;

const OWN = '/proc/thread-self/ns/net';
/** Where ip(8) keeps its namespaces, as ip-netns(8) documents it. */
const IP_NETNS_DIRECTORY = '/run/netns';

/**
 * Opens the file of a namespace. The caller closes the descriptor soon: an open one keeps the namespace of a dead pod alive.
 * @throws Errno-like error ENOENT when there is no such file, process or namespace (any more)
 */
export function openNetns(netns: string): number {
  const ref = parseNetns(netns);
  return ref === undefined ? openSync(netns, 'r') : findNetns(ref).fd;
}

/**
 * Runs `fn` with the calling thread inside a namespace. Nothing else runs on this thread meanwhile, so `fn` has to be synchronous.
 * Aborts the process if there is no way back, because from then on it would program the wrong machine.
 * @throws Errno, and whatever `fn` throws
 */
export function inNetns<T>(netns: Netns, fn: () => T): T {
  const home = openSync(OWN, 'r');
  try {
    const target = typeof netns === 'number' ? netns : openNetns(netns);
    try {
      sys.setNetns(target);
    } finally {
      if (target !== netns) closeSync(target);
    }
    try {
      const result = fn();
      if (result instanceof Promise)
        throw new TypeError('inNetns: the function has to be synchronous');
      return result;
    } finally {
      goHome(home);
    }
  } finally {
    closeSync(home);
  }
}

/**
 * Runs `fn` with the calling thread inside a new, empty network namespace, which ends with it unless `fn` keeps it. `fn` has to be
 * synchronous. @throws Errno EPERM without CAP_SYS_ADMIN, and whatever `fn` throws
 */
export function inFreshNetns<T>(fn: () => T): T {
  const home = openSync(OWN, 'r');
  try {
    sys.unshareNetns();
    try {
      return fn();
    } finally {
      goHome(home);
    }
  } finally {
    closeSync(home);
  }
}

/**
 * Makes a network namespace and mounts it on the file `path`, as `ip netns add` does: under /run/netns it shows in `ip netns list`.
 * Its loopback interface is down.
 * @throws Error EEXIST when the file is there, EPERM without CAP_SYS_ADMIN
 */
export function createNetns(path: string): void {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  if (directory === IP_NETNS_DIRECTORY) shareMounts(directory);
  closeSync(openSync(path, 'wx', 0o000));
  try {
    inFreshNetns(() => sys.mount(OWN, path, 'none', sys.MS_BIND));
  } catch (error) {
    unlinkSync(path);
    throw error;
  }
}

/** Unmounts and removes the file of a namespace made by `createNetns`. One that is gone already is fine. @throws Errno */
export function deleteNetns(path: string): void {
  const unless = (codes: readonly string[], act: () => void): void => {
    try {
      act();
    } catch (error) {
      if (!(Error.isError(error) && 'code' in error && codes.includes(String(error.code))))
        throw error;
    }
  };
  unless(['EINVAL', 'ENOENT'], () => sys.unmount(path, sys.MNT_DETACH));
  unless(['ENOENT'], () => unlinkSync(path));
}

/** Moves the calling thread to a namespace for good: for a worker thread that lives for one namespace. @throws Errno */
export function moveToNetns(netns: Netns): void {
  const target = typeof netns === 'number' ? netns : openNetns(netns);
  try {
    sys.setNetns(target);
  } finally {
    if (target !== netns) closeSync(target);
  }
}

function goHome(home: number): void {
  try {
    sys.setNetns(home);
  } catch {
    process.abort();
  }
}

/** Mounts made below shall reach the other mount namespaces of the machine, which needs a mount point to hang the sharing on. */
function shareMounts(directory: string): void {
  try {
    sys.mount('', directory, 'none', sys.MS_SHARED | sys.MS_REC);
  } catch (error) {
    if (!(error instanceof sys.Errno && error.code === 'EINVAL')) throw error;
    sys.mount(directory, directory, 'none', sys.MS_BIND | sys.MS_REC);
    sys.mount('', directory, 'none', sys.MS_SHARED | sys.MS_REC);
  }
}
