/**
 * A program that stands in for every service of the mesh: it listens, answers health checks, logs and stops as they do, and wires
 * nothing. Its first argument says which; STAND_IN makes it misbehave: `die`, `silent` (never ready), `stubborn` (ignores SIGTERM).
 */
import {
  Connection,
  ConnectionEvent,
  Empty,
  HealthCheckResponse_ServingStatus as Serving,
  HealthDefinition,
  MonitorConnectionDefinition,
  type NetworkService,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRegistryDefinition,
} from '@nsm/proto';
import { createGrpcTransport, type Service, service } from '@nsm/rpc';

const {
  STAND_IN: manner,
  NSM_LISTEN_ON = '',
  NSM_NETWORK_SERVICES = '',
  NSM_NAME: name = '',
} = process.env;

const log = (fields: Readonly<Record<string, unknown>>): void =>
  void process.stdout.write(`${JSON.stringify({ level: 'info', ...fields })}\n`);

const forever = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

const health = service(HealthDefinition, {
  check: async () => ({ status: Serving.SERVING }),
  watch: async function* ({ service }, { signal }) {
    // As programs of upstream's do, it has no other health than that of the whole.
    if (service === '') yield { status: Serving.NOT_SERVING };
    yield { status: service === '' ? Serving.SERVING : Serving.SERVICE_UNKNOWN };
    await forever(signal);
  },
});

const monitor = service(MonitorConnectionDefinition, {
  monitorConnections: async function* (_selector, { signal }) {
    const connection = Connection.fromPartial({
      id: 'c',
      networkService: 'web',
      path: {
        index: 1,
        pathSegments: ['alice', name, 'f', 'e'].map((hop) => ({ name: hop, id: `${hop}-0` })),
      },
    });
    yield ConnectionEvent.fromPartial({ connections: { c: connection } });
    await forever(signal);
  },
});

function registries(): Service[] {
  const services = new Map<string, NetworkService>();
  return [
    service(NetworkServiceRegistryDefinition, {
      register: async (entry) => {
        services.set(entry.name, entry);
        return entry;
      },
      unregister: async () => Empty.create(),
      find: async function* () {
        for (const networkService of services.values()) yield { networkService, deleted: false };
      },
    }),
    service(NetworkServiceEndpointRegistryDefinition, {
      register: async (entry) => entry,
      unregister: async () => Empty.create(),
      find: async function* () {
        // It knows of no endpoint.
      },
    }),
  ];
}

async function run(program: string): Promise<void> {
  if (manner === 'die') {
    log({ level: 'error', msg: 'cannot start', err: { message: 'told to die' } });
    process.exitCode = 3;
    return;
  }
  const transport = createGrpcTransport();
  const own = { nsmgr: [monitor], registry: registries() }[program] ?? [];
  for (const url of NSM_LISTEN_ON.split(',').filter(Boolean))
    await transport.serve(url, program, [health, ...own]);
  const alive = setInterval(() => undefined, 60_000);
  process.on('SIGTERM', () => {
    if (manner === 'stubborn') return;
    clearInterval(alive);
    process.exit(0);
  });
  if (manner === 'silent') return;
  log({ msg: 'ready' });
  if (program !== 'nsc') return;
  for (const [i, url] of NSM_NETWORK_SERVICES.split(',').entries())
    log({ msg: 'connected', connection: `${name}-${i}`, service: url, ms: 1.5 });
}

await run(process.argv[2] ?? '');
