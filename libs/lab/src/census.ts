import { existsSync, readdirSync } from 'node:fs';
import type { Dialer } from '@nsm/rpc';
import { type Interface, interfacesOf } from './interfaces.ts';
import { presentNamespaces } from './namespaces.ts';
import { processesIn } from './proc.ts';
import { findEndpoints, findServices } from './registry.ts';
import type { Run } from './run.ts';
import type { LabState } from './state.ts';

/** Everything there is of a lab. Two of them are equal, as JSON, when nothing came, went or was made anew in between. */
export interface Census {
  /** By namespace. */
  readonly namespaces: Readonly<Record<string, readonly Interface[]>>;
  /** Names of the lab's processes that run. */
  readonly processes: readonly string[];
  /** How many other processes run in the lab's namespaces. */
  readonly strangers: number;
  /** Sockets in the lab's folder, relative to it. */
  readonly sockets: readonly string[];
  /** Undefined when no registry answers. */
  readonly registry:
    { readonly services: readonly string[]; readonly endpoints: readonly string[] } | undefined;
}

/** Counts a lab. */
export async function takeCensus(
  { plan, netns }: LabState,
  runs: readonly Run[],
  dialer: Dialer,
): Promise<Census> {
  const alive = runs.filter((run) => run.alive());
  const known = new Set(alive.map(({ id }) => id.pid));
  const present = presentNamespaces(plan.namespaces, netns);
  const there = plan.namespaces.filter((space) => presentNamespaces([space], netns).length > 0);
  return {
    namespaces: Object.fromEntries(there.map(({ name, path }) => [name, interfacesOf(path)])),
    processes: alive.map(({ process }) => process.name).sort(),
    strangers: processesIn(present).filter(({ pid }) => !known.has(pid)).length,
    sockets: socketsIn(plan.folder),
    registry: alive.some(({ process }) => process.program === 'registry')
      ? await registryOf(dialer, plan.registryUrl)
      : undefined,
  };
}

async function registryOf(dialer: Dialer, url: string): Promise<Census['registry']> {
  try {
    const [services, endpoints] = [
      await findServices(dialer, url),
      await findEndpoints(dialer, url),
    ];
    return {
      services: services.map(({ name }) => name),
      endpoints: endpoints.map((found) => `${found.name} ${found.url}`),
    };
  } catch {
    // It was about to end: as good as gone.
    return undefined;
  }
}

const socketsIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isSocket())
        .map((entry) => `${entry.parentPath}/${entry.name}`.slice(folder.length + 1))
        .sort()
    : [];
