import { INTERFACE_NAME, ownNetns, type RequestUrl } from '@nsm/connection';
import { Errno, ping } from '@nsm/netlink';
import { logUndoFailure, main, tellConnections, type Logger } from '@nsm/service';
import { settings } from './config.ts';
import { createNsc } from './nsc.ts';
import type { Attempt } from './attempt.ts';
import { pingLiveness, type Ping } from './liveness.ts';
import { watchWires } from './watch-wires.ts';

await main('nsc', settings, async (config, runtime) => {
  const { log, clock, random, newId, transport } = runtime;
  const { NSM_NAME: name } = config;
  const liveness = config.NSM_LIVENESS_CHECK_ENABLED
    ? pingLiveness({
        ping: kernelPing,
        intervalMs: config.NSM_LIVENESS_CHECK_INTERVAL,
        timeoutMs: config.NSM_LIVENESS_CHECK_TIMEOUT,
      })
    : undefined;
  const watch = watchWires(runtime);
  const nsc = await createNsc({
    name,
    newId,
    random,
    clock,
    transport,
    tokens: runtime.tokens(name, config.NSM_MAX_TOKEN_LIFETIME),
    policies: runtime.policies,
    managerUrl: config.NSM_CONNECT_TO,
    netns: await ownNetns(),
    liveness,
    requests: config.NSM_NETWORK_SERVICES,
    awarenessGroups: config.NSM_AWARENESS_GROUPS,
    requestTimeoutMs: config.NSM_REQUEST_TIMEOUT,
    onUndoFailure: logUndoFailure(log),
    trace: runtime.trace,
    onAttempt: (connection, request, attempt) => {
      report(log, connection, request, attempt);
      watch(connection, request, attempt);
    },
    onRecovered: (connection) =>
      log.info({ connection }, 'a wire of an earlier process was found and is kept'),
  });
  tellConnections(runtime.metrics, () => nsc.connections.list());
  runtime.onStop('wires', () => nsc.stop());
  if (config.NSM_LISTEN_ON.length === 0) return;
  await runtime.serve(config.NSM_LISTEN_ON, name, []);
  // Whoever probes a client waits for its wires.
  await nsc.up;
});

/** Echoes within the time that a wire may be silent: one may get lost, and the first has all of it to be answered. */
const ECHOES = 4;

/**
 * The interfaces of this namespace are the client's ends of its wires. Without the right to ping nobody can be asked, and a wire counts as
 * alive.
 */
async function kernelPing(
  ends: Parameters<Ping>[0],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const each = timeoutMs / ECHOES;
    const echoes = { count: ECHOES, decide: true, intervalMs: each, timeoutMs: each };
    return (await ping({ ...ends, ...echoes }, signal)).received > 0;
  } catch (err) {
    if (err instanceof Errno && (err.code === 'EPERM' || err.code === 'EACCES')) return true;
    throw err;
  }
}

function report(
  log: Logger,
  id: string,
  { service }: RequestUrl,
  { kind, ms, connection, error, healing }: Attempt,
): void {
  const about = { connection: id, service, kind, ms, cause: healing?.cause };
  if (error) {
    const { code, message, hop, element, hint } = error;
    log.warn({ ...about, code, hop, element, hint }, message);
    return;
  }
  const { context, mechanism, networkServiceEndpointName: endpoint } = connection ?? {};
  const { srcIpAddrs: addresses, dstIpAddrs: peer } = context?.ipContext ?? {};
  log.info(
    { ...about, endpoint, interface: mechanism?.parameters[INTERFACE_NAME], addresses, peer },
    healing ? 'healed' : kind === 'refresh' ? 'refreshed' : 'connected',
  );
}
