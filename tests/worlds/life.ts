import { systemClock, type Clock } from '@nsm/chain';
import {
  NsmError,
  type Client,
  type Dialer,
  type Listener,
  type Service,
  type ServiceDefinition,
  type Transport,
} from '@nsm/rpc';

/** A process of a memory world: what it uses of the world stops working when it is killed. */
export interface Life {
  readonly clock: Clock;
  readonly transport: Transport;
  /** The same, as long as it lives. */
  whileAlive<A>(action: (argument: A) => void): (argument: A) => void;
  serve(urls: readonly string[], hop: string, services: readonly Service[]): Promise<void>;
  onEnd(stop: () => Promise<void>): void;
  /** Ends in order: the last thing started stops first. */
  end(): Promise<void>;
  /** Ends at once: listeners close, timers never fire, calls get no answer. */
  kill(): void;
}

export function createLife(world: Transport): Life {
  const dead = new AbortController();
  const stops: (() => Promise<void>)[] = [];
  const listeners: Listener[] = [];
  const clock: Clock = {
    now: () => systemClock.now(),
    after: (ms, action) =>
      systemClock.after(ms, () => (dead.signal.aborted ? undefined : action())),
  };
  const mortal = <D extends ServiceDefinition>(definition: D, client: Client<D>): Client<D> => {
    const methods = Object.entries(
      client as Record<string, (request: unknown, options?: { signal?: AbortSignal }) => unknown>,
    ).map(([name, call]) => [
      name,
      (request: unknown, options: { signal?: AbortSignal } = {}) => {
        if (dead.signal.aborted && !definition.methods[name]?.responseStream)
          return new Promise(() => undefined);
        return call(request, {
          ...options,
          signal: options.signal ? AbortSignal.any([options.signal, dead.signal]) : dead.signal,
        });
      },
    ]);
    return Object.fromEntries(methods) as Client<D>;
  };
  const dialer: Dialer = {
    client: (definition, url) => mortal(definition, world.client(definition, url)),
    sockets: world.sockets,
    close: () => undefined,
  };
  const transport: Transport = {
    ...dialer,
    serve: (url, hop, services) => world.serve(url, hop, services),
  };
  return {
    clock,
    transport,
    whileAlive: (action) => (argument) => {
      if (!dead.signal.aborted) action(argument);
    },
    serve: async (urls, hop, services) => {
      for (const url of urls) {
        const listener = await world.serve(url, hop, services);
        listeners.push(listener);
        stops.push(() => listener.close());
      }
    },
    onEnd: (stop) => void stops.push(stop),
    end: async () => {
      for (let stop = stops.pop(); stop; stop = stops.pop()) await stop();
      dead.abort(new NsmError('cancelled', 'ended'));
    },
    kill: () => {
      for (const listener of listeners) void listener.close();
      dead.abort(new NsmError('cancelled', 'killed'));
    },
  };
}
