import { INTERFACE_NAME, ownNetns, type RequestUrl } from '@nsm/connection';
import { insecureTokens } from '@nsm/identity';
import { logUndoFailure, main, type Logger } from '@nsm/service';
import { settings } from './config.ts';
import { createNsc } from './nsc.ts';
import type { Attempt } from './wire.ts';

await main('nsc', '0.1.0', settings, async (config, runtime) => {
  const { log, clock, random, newId, transport } = runtime;
  const { NSM_NAME: name } = config;
  const nsc = await createNsc({
    name,
    newId,
    random,
    clock,
    transport,
    tokens: insecureTokens(name, config.NSM_MAX_TOKEN_LIFETIME, clock),
    managerUrl: config.NSM_CONNECT_TO,
    netns: await ownNetns(),
    requests: config.NSM_NETWORK_SERVICES,
    requestTimeoutMs: config.NSM_REQUEST_TIMEOUT,
    onUndoFailure: logUndoFailure(log),
    onAttempt: (connection, request, attempt) => report(log, connection, request, attempt),
    onRecovered: (connection) =>
      log.info({ connection }, 'a wire of an earlier process was found and is kept'),
  });
  runtime.onStop('wires', () => nsc.stop());
});

function report(
  log: Logger,
  id: string,
  { service }: RequestUrl,
  { kind, ms, connection, error }: Attempt,
): void {
  const about = { connection: id, service, kind, ms };
  if (error) {
    const { code, message, hop, element, hint } = error;
    log.warn({ ...about, code, hop, element, hint }, message);
    return;
  }
  const { context, mechanism, networkServiceEndpointName: endpoint } = connection ?? {};
  const { srcIpAddrs: addresses, dstIpAddrs: peer } = context?.ipContext ?? {};
  log.info(
    { ...about, endpoint, interface: mechanism?.parameters[INTERFACE_NAME], addresses, peer },
    kind === 'refresh' ? 'refreshed' : 'connected',
  );
}
