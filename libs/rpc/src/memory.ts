import { NsmError } from './error.ts';
import { createPassedSockets } from './passed-sockets.ts';
import type {
  CallOptions,
  Client,
  Handler,
  ServerContext,
  Service,
  ServiceDefinition,
  Transport,
  MethodDefinition,
} from './transport.ts';

interface Serving {
  readonly hop: string;
  readonly services: ReadonlyMap<string, Service>;
  readonly closed: AbortController;
}

/**
 * A transport within one process: what is served on a URL is called directly by who dials it. Messages are encoded and
 * decoded on the way, so that neither side can see the other's objects, and failures carry their origin as over gRPC.
 */
export function createMemoryTransport(): Transport {
  const serving = new Map<string, Serving>();
  return {
    serve: async (url, hop, services) => {
      if (serving.has(url)) throw new NsmError('invalid-argument', `url: ${url} is in use`);
      const mine = {
        hop,
        services: new Map(services.map((s) => [s.definition.fullName, s])),
        closed: new AbortController(),
      };
      serving.set(url, mine);
      return {
        url,
        close: async () => {
          if (serving.get(url) === mine) serving.delete(url);
          mine.closed.abort();
        },
      };
    },
    client: <D extends ServiceDefinition>(definition: D, url: string): Client<D> => {
      const peer = (key: string): { handler: Handler; to: Serving } => {
        const to = serving.get(url);
        const handler = to?.services.get(definition.fullName)?.handlers[key];
        if (!to) throw new NsmError('unavailable', `${url}: nobody listens`);
        if (!handler)
          throw new NsmError('unimplemented', `${url} does not serve ${definition.fullName}`);
        return { handler, to };
      };
      const methods = Object.entries(definition.methods).map(([key, method]) => [
        key,
        method.responseStream ? streaming(method, () => peer(key)) : unary(method, () => peer(key)),
      ]);
      return Object.fromEntries(methods) as Client<D>;
    },
    sockets: createPassedSockets(() => undefined),
    close: () => undefined,
  };
}

type Find = () => { handler: Handler; to: Serving };

const copy = (codec: MethodDefinition['requestType'], message: unknown): unknown =>
  codec.decode(codec.encode(message as never).finish());

/** The signal a handler sees, and the context around it. */
function incoming(
  options: CallOptions & { readonly made: Readonly<Record<string, string>> },
  to: Serving,
): { context: ServerContext; signal: AbortSignal; headers: Map<string, string> } {
  const signals = [to.closed.signal];
  if (options.signal) signals.push(options.signal);
  if (options.deadline !== undefined) {
    // eslint-disable-next-line no-restricted-properties -- the transport is where deadlines meet the real clock
    signals.push(AbortSignal.timeout(Math.max(1, Math.ceil(options.deadline - Date.now()))));
  }
  const signal = AbortSignal.any(signals);
  const headers = new Map<string, string>();
  const context: ServerContext = {
    signal,
    deadline: options.deadline,
    peer: undefined,
    descriptors: undefined,
    header: (name) => options.made[name],
    reply: (name, value) => void headers.set(name, value),
  };
  return { context, signal, headers };
}

const headersOf = async ({ headers = {} }: CallOptions) =>
  typeof headers === 'function' ? headers(undefined) : headers;

function failure(thrown: unknown, to: Serving, options: CallOptions): NsmError {
  if (to.closed.signal.aborted) return new NsmError('unavailable', `${to.hop} is gone`);
  if (options.signal?.aborted)
    return new NsmError('cancelled', 'the caller gave up', { cause: options.signal.reason });
  const err = NsmError.from(thrown);
  return new NsmError(err.code, err.message, {
    hop: err.hop ?? to.hop,
    element: err.element,
    connection: err.connection,
    policy: err.policy,
    hint: err.hint,
  });
}

const aborted = (signal: AbortSignal): { gone: Promise<never>; off: () => void } => {
  let off = (): void => undefined;
  const gone = new Promise<never>((_, reject) => {
    const stop = (): void => reject(NsmError.from(signal.reason));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    off = () => signal.removeEventListener('abort', stop);
  });
  gone.catch(() => undefined);
  return { gone, off };
};

const unary =
  (method: MethodDefinition, find: Find) =>
  async (request: unknown, options: CallOptions = {}) => {
    const { handler, to } = find();
    const made = await headersOf(options);
    const { context, signal, headers } = incoming({ ...options, made }, to);
    const { gone, off } = aborted(signal);
    try {
      const response = await Promise.race([
        handler(copy(method.requestType, request), context) as Promise<unknown>,
        gone,
      ]);
      options.onHeaders?.((name) => headers.get(name));
      return copy(method.responseType, response);
    } catch (err) {
      throw failure(err, to, options);
    } finally {
      off();
    }
  };

const streaming = (method: MethodDefinition, find: Find) =>
  async function* (request: unknown, options: CallOptions = {}): AsyncGenerator {
    const { handler, to } = find();
    const leave = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, leave.signal]) : leave.signal;
    const call = incoming({ ...options, signal, made: await headersOf(options) }, to);
    const { gone, off } = aborted(call.signal);
    const stream = (
      handler(copy(method.requestType, request), call.context) as AsyncIterable<unknown>
    )[Symbol.asyncIterator]();
    try {
      for (
        let item = await Promise.race([stream.next(), gone]);
        item.done !== true;
        item = await Promise.race([stream.next(), gone])
      )
        yield copy(method.responseType, item.value);
    } catch (err) {
      throw failure(err, to, options);
    } finally {
      off();
      leave.abort();
      void stream.return?.().catch(() => undefined);
    }
  };
