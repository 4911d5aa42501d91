import { createConnections, INTERFACE_NAME, ownNetns } from '@nsm/connection';
import { insecureTokens } from '@nsm/identity';
import { main } from '@nsm/service';
import { nscChain } from './chain.ts';
import { settings } from './config.ts';
import { recover } from './recover.ts';
import { keepWire, type Attempt } from './wire.ts';

await main('nsc', '0.1.0', settings, async (config, runtime) => {
  const { log, clock, transport } = runtime;
  const {
    NSM_NAME: name,
    NSM_CONNECT_TO: managerUrl,
    NSM_REQUEST_TIMEOUT: requestTimeoutMs,
  } = config;
  const connections = createConnections((id, failures) =>
    log.warn(
      { connection: id, failures: failures.map(String) },
      'not everything could be taken down',
    ),
  );
  const tokens = insecureTokens(name, config.NSM_MAX_TOKEN_LIFETIME, clock);
  const netns = await ownNetns();
  const chain = nscChain({
    name,
    managerUrl,
    connections,
    tokens,
    clock,
    newId: runtime.newId,
    dialer: transport,
  });

  const wires = await Promise.all(
    config.NSM_NETWORK_SERVICES.map(async (request, n) => {
      const id = `${name}-${n}`;
      const logged = log.child({ connection: id, service: request.service });
      const recovered = await recover(
        { dialer: transport, managerUrl, netns, timeoutMs: requestTimeoutMs },
        id,
        request,
      ).catch(() => undefined);
      if (recovered) logged.info('a wire of an earlier process was found and is kept');
      return keepWire({
        id,
        request,
        chain,
        connections,
        clock,
        netns,
        requestTimeoutMs,
        recovered,
        random: runtime.random,
        onAttempt: (attempt) => report(logged, attempt),
      });
    }),
  );
  runtime.onStop('wires', async () => {
    await Promise.all(wires.map((wire) => wire.close()));
  });

  function report(logged: typeof log, { kind, ms, connection, error }: Attempt): void {
    if (error) {
      const { code, message, hop, element, hint } = error;
      return logged.warn({ kind, ms, code, hop, element, hint }, message);
    }
    const { context, mechanism, networkServiceEndpointName: endpoint } = connection ?? {};
    const fields = {
      kind,
      ms,
      endpoint,
      interface: mechanism?.parameters[INTERFACE_NAME],
      addresses: context?.ipContext?.srcIpAddrs,
      peer: context?.ipContext?.dstIpAddrs,
    };
    logged.info(fields, kind === 'refresh' ? 'refreshed' : 'connected');
  }
});
