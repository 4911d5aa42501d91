import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeClock, type FakeClock } from '@nsm/chain/testing';
import { tokenHeaders, insecureTokens } from '@nsm/identity';
import {
  Connection,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
  NetworkServiceRequest,
  type ConnectionEvent,
} from '@nsm/proto';
import {
  createGrpcTransport,
  createMemoryTransport,
  NsmError,
  type CallOptions,
  type Service,
  type Transport,
} from '@nsm/rpc';

export const MINUTE = 60_000;
/** What tokens of these tests last. */
export const LIFETIME = 10 * MINUTE;

/** Where single services meet hand-made neighbours. */
export interface Stage {
  readonly clock: FakeClock;
  readonly transport: Transport;
  /** The URL of a workload of this node. */
  unix(name: string): string;
  /** Serves until the end of the stage; the returned function ends it earlier. */
  serve(url: string, hop: string, services: readonly Service[]): Promise<() => Promise<void>>;
  onEnd(stop: () => Promise<void> | void): void;
  end(): Promise<void>;
}

export function createStage(kind: 'memory' | 'grpc' = 'memory'): Stage {
  const transport = kind === 'memory' ? createMemoryTransport() : createGrpcTransport();
  const folder = kind === 'memory' ? '/stage' : mkdtempSync(join(tmpdir(), 'nsm-'));
  const stops: (() => Promise<void> | void)[] = [
    () => (kind === 'grpc' ? rmSync(folder, { recursive: true, force: true }) : undefined),
    () => transport.close(),
  ];
  return {
    // Deadlines meet the real clock in the transport, so both start at the same time.
    clock: createFakeClock(Date.now()),
    transport,
    unix: (name) => `unix://${folder}/${name}.sock`,
    serve: async (url, hop, services) => {
      const listener = await transport.serve(url, hop, services);
      stops.push(() => listener.close(0));
      return () => listener.close(0);
    },
    onEnd: (stop) => void stops.push(stop),
    end: async () => {
      for (let stop = stops.pop(); stop; stop = stops.pop()) await stop();
    },
  };
}

export type PartialConnection = Parameters<typeof Connection.fromPartial>[0];
type PartialMechanisms = Parameters<
  typeof NetworkServiceRequest.fromPartial
>[0]['mechanismPreferences'];

export const kernel = (parameters: Record<string, string> = {}) => ({
  cls: 'LOCAL',
  type: 'KERNEL',
  parameters: { inodeURL: 'inode://1/1', ...parameters },
});

/** Whoever calls a service: its side of the contract. */
export interface Caller {
  /** A request with a path of one segment, the caller's, unless `change` says otherwise. */
  request(
    change?: PartialConnection,
    options?: CallOptions & { readonly preferences?: PartialMechanisms },
  ): Promise<Connection>;
  close(connection: PartialConnection, options?: CallOptions): Promise<void>;
  watch(selector?: Parameters<typeof MonitorScopeSelector.fromPartial>[0]): Watcher;
  headers(): Promise<Record<string, string>>;
}

interface Watcher {
  next(): Promise<ConnectionEvent>;
  stop(): Promise<void>;
}

/** A client called `name` of the service at `url`. */
export function callerOf(
  { clock, transport }: Stage,
  url: string,
  name = 'A',
  lifetime = LIFETIME,
): Caller {
  const service = transport.client(NetworkServiceDefinition, url);
  const monitor = transport.client(MonitorConnectionDefinition, url);
  const tokens = insecureTokens(name, lifetime, clock);
  const headers = async () => tokenHeaders(await tokens.issue(undefined));
  return {
    headers,
    request: async (change = {}, { preferences = [kernel()], ...options } = {}) =>
      service.request(
        NetworkServiceRequest.fromPartial({
          mechanismPreferences: preferences,
          connection: originOf(name, change),
        }),
        { headers: await headers(), ...options },
      ),
    close: async (connection, options = {}) => {
      const closed = Connection.fromPartial(connection);
      await service.close(closed, { headers: await headers(), ...options });
    },
    watch: (selector = {}) => {
      const stream = monitor
        .monitorConnections(MonitorScopeSelector.fromPartial(selector))
        [Symbol.asyncIterator]();
      return {
        next: async () => {
          const item = await stream.next();
          if (item.done) throw new Error('the stream has ended');
          return item.value;
        },
        stop: async () => {
          await stream.return?.();
        },
      };
    },
  };
}

/** A connection as its origin sends it first. */
function originOf(name: string, change: PartialConnection): PartialConnection {
  const id = change.id ?? `${name}-1`;
  return {
    id,
    networkService: 'svc',
    path: { index: 0, pathSegments: [{ name, id }] },
    ...change,
  };
}

/** The error a call ends with. */
export const refusal = async (call: Promise<unknown>): Promise<NsmError> =>
  call.then(
    () => {
      throw new Error('it succeeded');
    },
    (err: unknown) => NsmError.from(err),
  );

/** The names of a path. */
export const namesOf = (connection: Connection): string[] =>
  connection.path!.pathSegments.map(({ name }) => name);
/** The ids of a path. */
export const idsOf = (connection: Connection): string[] =>
  connection.path!.pathSegments.map(({ id }) => id);
/** The one connection of an event. */
export const only = ({ connections }: ConnectionEvent): Connection => {
  const all = Object.values(connections);
  if (all.length !== 1) throw new Error(`there are ${all.length} connections in the event`);
  return all[0]!;
};
