import { join } from 'node:path';
import { NsmError } from '@nsm/rpc';
import { type Core, createCore, type LabLimits } from './core.ts';
import { type Lab, labOf } from './lab.ts';
import { createNamespaces } from './namespaces.ts';
import { planLab } from './plan.ts';
import { type PlanOptions, startOrder } from './planned.ts';
import { processId } from './proc.ts';
import { bundledPrograms, type Programs } from './programs.ts';
import { bootId, claimFolder, defaultPlaces, type Places, writeState } from './state.ts';
import type { Topology } from './topology.ts';

/** How a lab is started. */
export interface LabOptions extends Omit<PlanOptions, 'folder' | 'netnsFolder'> {
  /** Where its folder and its namespaces go. @default as `defaultPlaces` finds them */
  readonly places?: Places | undefined;
  /** @default the bundles in dist */
  readonly programs?: Programs | undefined;
  readonly limits?: LabLimits | undefined;
  /** It goes on when this process ends. @default false: it ends with `stop()`, and whoever finds it orphaned may take it down */
  readonly detached?: boolean | undefined;
  /** Gives up and takes down what is there. */
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done, in a few words. */
  readonly onProgress?: ((step: string) => void) | undefined;
}

/**
 * Brings a lab up and resolves when all of its processes are ready; wires may still be on their way. Whatever fails, nothing is left.
 * @throws NsmError conflict when there is a lab of the name; permission-denied without the right to make namespaces; unavailable or
 * deadline with what the log of the failed process says; not-found when programs are missing
 */
export async function startLab(topology: Topology, options: LabOptions = {}): Promise<Lab> {
  const places = options.places ?? defaultPlaces(process.env);
  const folder = join(places.stateRoot, topology.name);
  const netnsFolder = places.netnsFolder ?? join(folder, 'netns');
  const plan = planLab(topology, { ...options, folder, netnsFolder });
  const holder = options.detached === true ? undefined : processId(process.pid);
  const state = {
    plan,
    programs: options.programs ?? bundledPrograms(),
    bootId: bootId(),
    ...(holder && { holder }),
    netns: {},
    runs: {},
  };
  claimFolder(folder, topology.name);
  writeState(state);
  const core = createCore(state, options.limits ?? {});
  try {
    await bringUp(core, options);
    return labOf(core);
  } catch (error) {
    try {
      await core.stop();
    } catch (leftover) {
      throw new AggregateError(
        [error, leftover],
        `${String(error)}; and then: ${String(leftover)}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

async function bringUp(core: Core, { signal, onProgress }: LabOptions): Promise<void> {
  const { plan } = core.state();
  onProgress?.('making namespaces');
  try {
    createNamespaces(plan, (name, netns) =>
      core.update({ netns: { ...core.state().netns, [name]: netns } }),
    );
  } catch (cause) {
    throw (cause as { code?: string }).code === 'EPERM' ? forbidden(cause as Error) : cause;
  }
  for (const program of startOrder) {
    signal?.throwIfAborted();
    const group = plan.processes.filter((process) => process.program === program);
    if (group.length === 0) continue;
    onProgress?.(`starting ${group.map(({ name }) => name).join(', ')}`);
    await allOrNothing(signal, (each) => group.map((process) => core.start(process, each)));
  }
}

/** Waits for all, also after one has failed, which stops the others from waiting: what is started has to be known to be stopped. */
async function allOrNothing(
  signal: AbortSignal | undefined,
  begin: (signal: AbortSignal) => readonly Promise<void>[],
): Promise<void> {
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  let first: { readonly reason: unknown } | undefined;
  await Promise.all(
    begin(either).map((promise) =>
      promise.catch((reason: unknown) => {
        first ??= { reason };
        failed.abort();
      }),
    ),
  );
  if (first !== undefined) throw first.reason;
}

const forbidden = (cause: Error): NsmError =>
  new NsmError('permission-denied', `network namespaces cannot be made here: ${cause.message}`, {
    cause,
    hint: 'run as root, or in a container with the capabilities SYS_ADMIN and NET_ADMIN',
  });
