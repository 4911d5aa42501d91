import { ownNetns } from '@nsm/connection';
import { createJoints, type Joints } from '@nsm/datapath';
import { createPrefixPool } from '@nsm/ip';
import {
  logUndoFailure,
  main,
  reportOutcome,
  reportRegistration,
  tellConnections,
  type Logger,
} from '@nsm/service';
import { addressesInUse } from './addresses-in-use.ts';
import { settings } from './config.ts';
import { createNse } from './nse.ts';
import { followPoliciesFile } from './policies-file.ts';

await main('nse', settings, async (config, runtime) => {
  const { log, clock, random, newId, transport } = runtime;
  const { NSM_NAME: name } = config;
  const policyRoutes = await followPoliciesFile(
    config.NSM_PBR_CONFIG_PATH,
    (fault) => log.warn(fault),
    () => nse.askForRefresh(),
  );
  runtime.onStop('policy routes', () => policyRoutes.close());
  const nse = createNse({
    name,
    clock,
    random,
    newId,
    transport,
    tokens: runtime.tokens(name, config.NSM_MAX_TOKEN_LIFETIME),
    policies: runtime.policies,
    maxPath: runtime.maxPath,
    pools: config.NSM_CIDR_PREFIX.map((group) => createPrefixPool(group)),
    inUse: { addresses: addressesInUse(), ms: config.NSM_MAX_TOKEN_LIFETIME },
    polite: config.NSM_IPAM_POLICY === 'polite',
    netns: await ownNetns(),
    policyRoutes: () => policyRoutes.current(),
    managerUrl: config.NSM_CONNECT_TO,
    offers: config.NSM_SERVICE_NAMES,
    payload: config.NSM_PAYLOAD,
    labels: config.NSM_LABELS,
    joints: config.NSM_PASS_THROUGH ? ownJoints(log) : undefined,
    registerServices: config.NSM_REGISTER_SERVICE,
    unregister: config.NSM_UNREGISTER_ITSELF,
    onUndoFailure: logUndoFailure(log),
    onOutcome: reportOutcome(runtime),
    trace: runtime.trace,
    onRegistration: reportRegistration(runtime),
  });
  tellConnections(runtime.metrics, () => nse.connections.list());
  const [listener] = await runtime.serve([config.NSM_LISTEN_ON], name, nse.services);
  runtime.onStop('registration', () => nse.stop());
  await nse.register(listener?.url ?? config.NSM_LISTEN_ON);
});

function ownJoints(log: Logger): Joints {
  try {
    return createJoints({
      onFault: (name, error) =>
        log.error({ interface: name, error: String(error) }, 'an interface cannot be joined'),
    });
  } catch (cause) {
    throw new Error(
      `NSM_PASS_THROUGH needs CAP_NET_ADMIN in the endpoint's network namespace, and a kernel with bridges: ${String(cause)}`,
      { cause },
    );
  }
}
