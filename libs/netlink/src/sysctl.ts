import { readFileSync, writeFileSync } from 'node:fs';
import { inNetns, type Netns } from './netns.ts';

/**
 * Writes `/proc/sys/<path>` of a namespace, for example `net/ipv6/conf/nsm-1/disable_ipv6`. The path has slashes, since interface
 * names may have dots. /proc/sys/net shows the namespace of the thread that opens it, hence the detour.
 * @throws Error ENOENT, EACCES, EINVAL from the file system
 */
export function writeSysctl(netns: Netns | undefined, path: string, value: string): void {
  const write = (): void => writeFileSync(fileOf(path), value);
  if (netns === undefined) write();
  else inNetns(netns, write);
}

/**
 * Writes a setting that mostly has its value already, if it has not: for many the kernel waits for its lock on links, and does so
 * without a pause (restart_syscall), whatever is written.
 * @throws Error as `writeSysctl`
 */
export function changeSysctl(netns: Netns | undefined, path: string, value: string): void {
  const change = (): void => {
    if (read(path) !== value) writeFileSync(fileOf(path), value);
  };
  if (netns === undefined) change();
  else inNetns(netns, change);
}

/** Reads `/proc/sys/<path>` of a namespace, without the closing newline. @throws Error ENOENT from the file system */
export function readSysctl(netns: Netns | undefined, path: string): string {
  return netns === undefined ? read(path) : inNetns(netns, () => read(path));
}

const read = (path: string): string => readFileSync(fileOf(path), 'utf8').trimEnd();

function fileOf(path: string): string {
  if (
    !path.startsWith('net/') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..')
  )
    throw new Error(`not a network setting: ${JSON.stringify(path)}`);
  return `/proc/sys/${path}`;
}
