import type { HealthCheckResponse } from '@nsm/proto';
import {
  HealthCheckResponse_ServingStatus as Serving,
  HealthDefinition,
  type HealthCheckRequest,
} from '@nsm/proto';
import { NsmError, service, type ServerContext, type Service } from '@nsm/rpc';

/** What a process says of itself by the standard gRPC health service. */
export interface Health {
  readonly service: Service;
  /** Names what is served; until {@link Health.set} nothing is serving. */
  add(names: readonly string[]): void;
  /** All services serve, or none does: a service is as well as the process it runs in. */
  set(serving: boolean): void;
}

export function createHealth(): Health {
  const names = new Set(['']);
  const watchers = new Set<() => void>();
  let serving = false;
  const status = (name: string): HealthCheckResponse => {
    if (!names.has(name)) return { status: Serving.SERVICE_UNKNOWN };
    return { status: serving ? Serving.SERVING : Serving.NOT_SERVING };
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
      for (const wake of [...watchers]) wake();
    },
  };
}
