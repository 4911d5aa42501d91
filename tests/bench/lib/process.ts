import { readFileSync } from 'node:fs';

/** USER_HZ: the unit of CPU times in /proc (proc(5)). */
const TICK_MS = 10;

/** The fields of /proc/PID/stat from the third on (proc(5)). */
const statOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');

/** CPU a process has used, user and system, in ms. */
export function cpuMs(pid: number): number {
  const [user, system] = statOf(pid).slice(11, 13);
  return (Number(user) + Number(system)) * TICK_MS;
}

/** CPU that those children of this process have used that have ended, in ms. */
export function childrenCpuMs(): number {
  const [user, system] = statOf(process.pid).slice(13, 15);
  return (Number(user) + Number(system)) * TICK_MS;
}

/** Resident memory of a process, in MiB. */
export function rssMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib ?? Number.NaN) / 1024;
}

/** Its share of memory, in MiB: pages it has to itself, and its part of those it shares (Pss in proc(5)). */
export function pssMiB(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  return Number(kib ?? Number.NaN) / 1024;
}
