import type { CallOptions, Client, Service, ServiceDefinition, Transport } from '@nsm/rpc';
import type { Metrics, Reading } from './metrics.ts';
import type { Tracing } from './tracing.ts';

export interface Instruments {
  readonly tracing?: Tracing | undefined;
  readonly metrics?: Metrics | undefined;
}

type Handler = Service['handlers'][string];
type Call = (request: unknown, options?: CallOptions) => Promise<unknown>;
type StreamCall = (request: unknown, options?: CallOptions) => AsyncIterable<unknown>;

/** Of no trace: they are asked every few seconds. */
const isOurs = (definition: ServiceDefinition): boolean => !definition.fullName.startsWith('grpc.');

/** A transport whose calls are spans on both ends, and whose open streams are counted. */
export function instrument(transport: Transport, { tracing, metrics }: Instruments): Transport {
  const open = new Map<string, number>();
  metrics?.read('nsm_watch_streams', () =>
    [...open].map(([method, count]): Reading => [{ method }, count]),
  );
  return {
    ...transport,
    client: <D extends ServiceDefinition>(definition: D, url: string): Client<D> => {
      const client = transport.client(definition, url);
      if (!tracing || !isOurs(definition)) return client;
      return Object.fromEntries(
        Object.entries(definition.methods).map(([key, { name, responseStream }]) => {
          const call: unknown = client[key];
          const method = `${definition.fullName}/${name}`;
          return [
            key,
            responseStream
              ? tracedStream(tracing, method, call as StreamCall)
              : traced(tracing, method, call as Call),
          ];
        }),
      ) as Client<D>;
    },
    serve: (url, hop, services, options) =>
      transport.serve(
        url,
        hop,
        services.map((each) => watched(each)),
        options,
      ),
  };

  function watched({ definition, handlers }: Service): Service {
    if (!isOurs(definition)) return { definition, handlers };
    const each = Object.entries(handlers).map(([key, handler]): [string, Handler] => {
      const { name = key, responseStream } = definition.methods[key] ?? {};
      const method = `${definition.fullName}/${name}`;
      if (responseStream !== true)
        return [key, tracing ? served(tracing, method, handler) : handler];
      const streaming = tracing ? servedStream(tracing, method, handler) : handler;
      return [key, metrics ? counted(open, method, streaming) : streaming];
    });
    return { definition, handlers: Object.fromEntries(each) };
  }
}

/** The options of a call with headers of the trace beside its own. */
const withHeaders = (
  { headers = {}, ...options }: CallOptions,
  own: Readonly<Record<string, string>>,
): CallOptions => ({
  ...options,
  headers:
    typeof headers === 'function'
      ? async (server) => ({ ...(await headers(server)), ...own })
      : { ...headers, ...own },
});

const traced =
  (tracing: Tracing, method: string, call: Call): Call =>
  (request, options = {}) =>
    tracing.call(method, (own) => call(request, withHeaders(options, own)));

const tracedStream =
  (tracing: Tracing, method: string, call: StreamCall): StreamCall =>
  (request, options = {}) =>
    tracing.callStream(method, (own) => call(request, withHeaders(options, own)));

const served =
  (tracing: Tracing, method: string, handler: Handler): Handler =>
  (request, context) =>
    tracing.serve(
      method,
      (name) => context.header(name),
      () => handler(request, context) as Promise<unknown>,
    );

const servedStream =
  (tracing: Tracing, method: string, handler: Handler): Handler =>
  (request, context) =>
    tracing.serveStream(
      method,
      (name) => context.header(name),
      () => handler(request, context) as AsyncIterable<unknown>,
    );

const counted = (open: Map<string, number>, method: string, handler: Handler): Handler =>
  async function* (request, context) {
    open.set(method, (open.get(method) ?? 0) + 1);
    try {
      yield* handler(request, context) as AsyncIterable<unknown>;
    } finally {
      open.set(method, (open.get(method) ?? 1) - 1);
    }
  };
