import { logUndoFailure, main, reportOutcome, tellConnections } from '@nsm/service';
import { settings } from './config.ts';
import { followExcludedFile } from './excluded-file.ts';
import { createNsmgr } from './nsmgr.ts';
import { publicUrl } from './public-url.ts';

await main('nsmgr', settings, async (config, runtime) => {
  const { log, clock, random, newId, transport, observer } = runtime;
  const { NSM_NAME: name } = config;
  const excluded = await followExcludedFile(
    config.NSM_EXCLUDED_PREFIXES_FILE,
    (fault) => log.warn(fault),
    () => nsmgr.askForRefresh(),
  );
  runtime.onStop('excluded prefixes', () => excluded.close());

  const report = reportOutcome(runtime);
  const nsmgr = createNsmgr({
    name,
    clock,
    random,
    newId,
    transport,
    tokens: runtime.tokens(name, config.NSM_MAX_TOKEN_LIFETIME),
    policies: runtime.policies,
    maxPath: runtime.maxPath,
    registryUrl: config.NSM_REGISTRY_URL,
    netnsProof: config.NSM_NETNS_PROOF,
    forwarderService: config.NSM_FORWARDER_NETWORK_SERVICE_NAME,
    ownUrl: publicUrl(config.NSM_LISTEN_ON),
    labels: placeLabels(config),
    excluded: () => excluded.current(),
    expirePeriodMs: config.NSM_EXPIRE_PERIOD,
    onUndoFailure: logUndoFailure(log),
    onOutcome: (outcome) => {
      report(outcome);
      const { op, connection, error, ms } = outcome;
      if (error && op === 'request')
        observer.tell({
          kind: 'refused',
          client: connection.path?.pathSegments[0]?.name ?? '',
          connection: connection.id,
          service: connection.networkService,
          cause: error.message,
          ms,
        });
    },
    onNews: (news) => observer.tell(news),
    trace: runtime.trace,
    onRegistry: runtime.health.depend('registry'),
    onRegistryOutcome: ({ op, kind, name: entry, ms, error }) => {
      const fields = { op, kind, entry, ms };
      if (error)
        log.warn(
          {
            ...fields,
            code: error.code,
            hop: error.hop,
            element: error.element,
            policy: error.policy,
            hint: error.hint,
          },
          error.message,
        );
      else log.debug(fields, `${op} done`);
    },
    onFrontEvent: ({ event, name: entry, error }) =>
      log.info(
        { entry, error },
        event === 'expired'
          ? 'a registration was not refreshed and is gone'
          : 'the registry had lost a registration',
      ),
    onMoved: (connection, service, endpoint) =>
      log.info(
        { connection, service, endpoint },
        'its endpoint was unregistered, or no longer fits the rules of the service: closed, for its client to ask for another',
      ),
  });
  tellConnections(runtime.metrics, () => nsmgr.connections.list());
  runtime.onStop('manager', () => nsmgr.stop());
  await runtime.serve(config.NSM_LISTEN_ON, name, nsmgr.services);
});

/** Labels that say where this node is; what is not set is left out. */
function placeLabels(config: {
  readonly NODE_NAME: string;
  readonly POD_NAME: string;
  readonly CLUSTER_NAME: string;
}): Record<string, string> {
  const labels = {
    nodeName: config.NODE_NAME,
    podName: config.POD_NAME,
    clusterName: config.CLUSTER_NAME,
  };
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
}
