import type { HealthCheckResponse } from '@nsm/proto';
import {
  HealthCheckResponse_ServingStatus as Serving,
  HealthDefinition,
  type HealthCheckRequest,
} from '@nsm/proto';
import { NsmError, service, type ServerContext, type Service } from '@nsm/rpc';

/**
 * The three questions an orchestrator asks, as names of the health service. startup: has it begun to serve; liveness: does it still
 * answer, or must it be started again; readiness: shall it be given work now. The empty name and those of its services ask the last.
 */
export const probes = ['readiness', 'liveness', 'startup'] as const;

export type Probe = (typeof probes)[number];

/** What a process says of itself by the standard gRPC health service. */
export interface Health {
  readonly service: Service;
  /** Names what is served; until {@link Health.set} nothing is serving. */
  add(names: readonly string[]): void;
  /** All services serve, or none does: a service is as well as the process it runs in. */
  set(serving: boolean): void;
  /**
   * Names what the process cannot serve without. It is taken to be there until the returned function says otherwise, and the process
   * is not ready while it is away.
   */
  depend(name: string): (up: boolean) => void;
  readonly ready: boolean;
  /** What the process depends on, and whether it is there. */
  readonly dependencies: ReadonlyMap<string, boolean>;
}

/** `onChange` is told of each dependency that is lost or is back. */
export function createHealth(onChange?: (dependency: string, up: boolean) => void): Health {
  const names = new Set<string>(['', ...probes]);
  const watchers = new Set<() => void>();
  const dependencies = new Map<string, boolean>();
  let serving = false;
  let started = false;
  const isReady = (): boolean => serving && [...dependencies.values()].every(Boolean);
  const status = (name: string): HealthCheckResponse => {
    if (!names.has(name)) return { status: Serving.SERVICE_UNKNOWN };
    const fine = name === 'liveness' || (name === 'startup' ? started : isReady());
    return { status: fine ? Serving.SERVING : Serving.NOT_SERVING };
  };
  const tell = (): void => {
    for (const wake of [...watchers]) wake();
  };
  async function* watch(
    { service: name }: HealthCheckRequest,
    { signal }: ServerContext,
  ): AsyncGenerator<HealthCheckResponse> {
    let last: number | undefined;
    while (!signal.aborted) {
      const changed = Promise.withResolvers<undefined>();
      const wake = (): void => changed.resolve(undefined);
      watchers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      const now = status(name);
      if (now.status !== last) yield now;
      last = now.status;
      await changed.promise;
      watchers.delete(wake);
      signal.removeEventListener('abort', wake);
    }
  }
  return {
    service: service(HealthDefinition, {
      check: async ({ service: name }) => {
        if (!names.has(name))
          throw new NsmError('not-found', `service: ${JSON.stringify(name)} is not served here`);
        return status(name);
      },
      watch,
    }),
    add: (more) => {
      for (const name of more) names.add(name);
    },
    set: (now) => {
      serving = now;
      started ||= now;
      tell();
    },
    depend: (name) => {
      dependencies.set(name, true);
      return (up) => {
        if (dependencies.get(name) === up) return;
        dependencies.set(name, up);
        onChange?.(name, up);
        tell();
      };
    },
    get ready() {
      return isReady();
    },
    dependencies,
  };
}
