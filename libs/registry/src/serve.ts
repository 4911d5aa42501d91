import { Scope, untraced, type Trace } from '@nsm/chain';
import { tokenFrom } from '@nsm/identity';
import {
  Empty,
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRegistryDefinition,
} from '@nsm/proto';
import {
  isPassed,
  namingElements,
  NsmError,
  service,
  type PassedSockets,
  type ServerContext,
  type Service,
} from '@nsm/rpc';
import { answer, type RegistryCall, type RegistryElement } from './call.ts';
import type { Change } from './feed.ts';
import type { Find } from './find.ts';
import type { Entry } from './kind.ts';
import { emptyPath, formatPath, parsePath, PATH_HEADER } from './registry-path.ts';

/** What serves one kind of record: Register and Unregister run the chain, Find is answered beside it. */
export interface RegistryHalf<T extends Entry> {
  readonly chain: RegistryElement<T>;
  readonly find: Find<T>;
}

/** Told of each Register and Unregister that ended. */
export interface RegistryOutcome {
  readonly op: 'register' | 'unregister';
  readonly kind: 'NetworkService' | 'NetworkServiceEndpoint';
  readonly name: string;
  readonly ms: number;
  readonly error: NsmError | undefined;
}

export interface ServeRegistryOptions {
  readonly services: RegistryHalf<NetworkService>;
  readonly endpoints: RegistryHalf<NetworkServiceEndpoint>;
  /** Where the sockets of endpoints are, to be sent on with what is found (contract 4.9). @default nowhere */
  readonly sockets?: PassedSockets | undefined;
  /** ms, from any origin. */
  readonly now: () => number;
  /** Aborted when the process stops: open watches then end with OK. */
  readonly stopping?: AbortSignal | undefined;
  readonly onOutcome?: ((outcome: RegistryOutcome) => void) | undefined;
  readonly trace?: Trace | undefined;
}

/** Both registry services over their chains (contract 1.1, 2.8, 2.9, 6.2). */
export function serveRegistry(options: ServeRegistryOptions): Service[] {
  const services = half('NetworkService', options.services, options);
  const endpoints = half('NetworkServiceEndpoint', options.endpoints, options);
  return [
    service(NetworkServiceRegistryDefinition, {
      register: (entry, context) => services.run('register', entry, context),
      unregister: async (entry, context) => {
        await services.run('unregister', entry, context);
        return Empty.create();
      },
      find: async function* ({ networkService, watch }, context) {
        const query = networkService ?? NetworkService.create();
        for await (const { entry, deleted } of services.find(query, watch, context))
          yield { networkService: entry, deleted };
      },
    }),
    service(NetworkServiceEndpointRegistryDefinition, {
      register: (entry, context) => endpoints.run('register', entry, context),
      unregister: async (entry, context) => {
        await endpoints.run('unregister', entry, context);
        return Empty.create();
      },
      find: async function* ({ networkServiceEndpoint, watch }, context) {
        const query = networkServiceEndpoint ?? NetworkServiceEndpoint.create();
        const { descriptors } = context;
        for await (const { entry, deleted } of endpoints.find(query, watch, context)) {
          if (descriptors && !deleted && isPassed(entry.url))
            options.sockets?.send(entry.url, descriptors);
          yield { networkServiceEndpoint: entry, deleted };
        }
      },
    }),
  ];
}

function half<T extends Entry>(
  kind: RegistryOutcome['kind'],
  { chain, find }: RegistryHalf<T>,
  { now, stopping, onOutcome, trace = untraced }: ServeRegistryOptions,
): {
  run(op: RegistryCall<T>['op'], entry: T, context: ServerContext): Promise<T>;
  find(query: T, watch: boolean, context: ServerContext): AsyncIterable<Change<T>>;
} {
  return {
    run: async (op, entry, context) => {
      const started = now();
      const outcome = { op, kind, name: entry.name };
      try {
        const header = context.header(PATH_HEADER);
        const { signal, deadline, peer, descriptors } = context;
        const result = await chain.run(
          {
            op,
            entry,
            path: header === undefined ? emptyPath : parsePath(header),
            peer,
            descriptors,
            token: tokenFrom((name) => context.header(name)),
            own: undefined,
            deadline,
            signal,
            scope: new Scope(),
            trace: namingElements(trace),
          },
          answer,
        );
        // Whoever sent no path cannot read one (contract 2.9).
        if (header !== undefined) context.reply(PATH_HEADER, formatPath(result.path));
        onOutcome?.({ ...outcome, ms: now() - started, error: undefined });
        return result.entry;
      } catch (thrown) {
        const error = NsmError.from(thrown);
        onOutcome?.({ ...outcome, ms: now() - started, error });
        throw error;
      }
    },
    find: (query, watch, { signal, deadline }) =>
      find(query, {
        watch,
        deadline,
        // Only what lasts has to hear of the end.
        signal: watch && stopping ? AbortSignal.any([signal, stopping]) : signal,
      }),
  };
}
