import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { NsmError } from '@nsm/rpc';
import type { Plan } from './planned.ts';
import type { ProcessId } from './proc.ts';
import type { Programs } from './programs.ts';

/** What another process has to know to look at a lab or to take it down. Written to `state.json` in its folder. */
export interface LabState {
  readonly plan: Plan;
  readonly programs: Programs;
  /** Pids and start times mean nothing after a restart of the machine. */
  readonly bootId: string;
  /** The process that takes the lab down when it ends; absent: it runs until somebody takes it down. */
  readonly holder?: ProcessId;
  /** By namespace, its `inode://...` as it was made. */
  readonly netns: Readonly<Record<string, string>>;
  /** By process, which one it is and where the output of this run of it starts in its log. */
  readonly runs: Readonly<Record<string, ProcessId & { readonly logOffset: number }>>;
}

/** Where labs are kept. */
export interface Places {
  /** Each lab has a folder in here. */
  readonly stateRoot: string;
  /** Where namespaces are mounted; undefined: in the folder of their lab. */
  readonly netnsFolder: string | undefined;
}

const FILE = 'state.json';
const OWN_FOLDER = 'name a folder of your own for labs in NSM_LAB_STATE';

/**
 * /run/nsm/lab and /run/netns where these can be written, as root can; else the user's own runtime folder.
 * `NSM_LAB_STATE` overrides.
 */
export function defaultPlaces(env: Readonly<Record<string, string | undefined>>): Places {
  const system = writable('/run/netns');
  const netnsFolder = system ? '/run/netns' : undefined;
  const override = env['NSM_LAB_STATE'];
  if (override !== undefined && override !== '') return { stateRoot: override, netnsFolder };
  if (system && writable('/run/nsm')) return { stateRoot: '/run/nsm/lab', netnsFolder };
  const runtime = env['XDG_RUNTIME_DIR'];
  const own = join(tmpdir(), `nsm-${process.getuid?.() ?? 0}`);
  const base = runtime !== undefined && writable(runtime) ? join(runtime, 'nsm') : own;
  return { stateRoot: join(base, 'lab'), netnsFolder };
}

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Makes the folder of a lab. @throws NsmError conflict when there is one already, permission-denied */
export function claimFolder(folder: string, name: string): void {
  const stateRoot = dirname(folder);
  try {
    mkdirSync(stateRoot, { recursive: true, mode: 0o755 });
    checkOwner(stateRoot);
    mkdirSync(folder, { mode: 0o755 });
  } catch (cause) {
    if (cause instanceof NsmError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new NsmError('conflict', `the lab "${name}" is there already`, {
        cause,
        hint: `take it down with: nsm lab down ${name}`,
      });
    throw new NsmError('permission-denied', `labs cannot be kept in ${stateRoot}: ${message}`, {
      cause,
      hint: OWN_FOLDER,
    });
  }
}

/** Replaces the state of a lab in one step, so that a reader never sees half of it. */
export function writeState(state: LabState): void {
  const file = join(state.plan.folder, FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 1)}\n`);
  renameSync(`${file}.new`, file);
}

/** The state of a lab. @throws NsmError not-found, which names the labs there are */
export function readState(stateRoot: string, name: string): LabState {
  const file = join(stateRoot, name, FILE);
  if (existsSync(stateRoot)) checkOwner(stateRoot);
  if (!existsSync(file)) {
    const others = listLabs(stateRoot);
    throw new NsmError('not-found', `there is no lab "${name}"`, {
      hint:
        others.length === 0
          ? `no lab is up (looked in ${stateRoot}); start one with: nsm lab up FILE`
          : `labs that are up: ${others.join(', ')}`,
    });
  }
  return JSON.parse(readFileSync(file, 'utf8')) as LabState;
}

/** The names of the labs there are. */
export function listLabs(stateRoot: string): string[] {
  if (!existsSync(stateRoot)) return [];
  checkOwner(stateRoot);
  return readdirSync(stateRoot)
    .filter((name) => existsSync(join(stateRoot, name, FILE)))
    .sort();
}

/** Removes the folder of a lab, and those above it that are empty then and ours. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  for (const parent of [dirname(folder), dirname(dirname(folder))]) {
    if (!/^(lab|nsm|nsm-\d+)$/.test(parent.slice(parent.lastIndexOf('/') + 1))) return;
    try {
      rmdirSync(parent);
    } catch {
      // Other labs are in there.
      return;
    }
  }
}

/** What is written in there says which processes to end and which programs to start: only root may go by what others wrote. */
function checkOwner(stateRoot: string): void {
  const [own, owner] = [process.getuid?.(), statSync(stateRoot).uid];
  if (own === 0 || own === owner) return;
  throw new NsmError('permission-denied', `${stateRoot} belongs to another user`, {
    hint: OWN_FOLDER,
  });
}

/** Whether something can be made in a folder, or in the nearest one above that exists. */
function writable(folder: string): boolean {
  const existing = existsSync(folder) ? folder : dirname(folder);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
