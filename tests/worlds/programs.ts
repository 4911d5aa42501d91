import { randomUUID } from 'node:crypto';
import { createVnis } from '@nsm/connection';
import { createFakeDatapath } from '@nsm/datapath/fake';
import { insecureTokens } from '@nsm/identity';
import { createPrefixPool } from '@nsm/ip';
import type { PlannedProcess, Program } from '@nsm/lab';
import { createPolicies } from '@nsm/policy';
import { createMemoryStore, endpointKind, serviceKind } from '@nsm/registry';
import { readSettings } from '@nsm/service';
import { createForwarder, forwarderSettings } from '@nsm/service-forwarder';
import { createNsc, nscSettings, pingLiveness } from '@nsm/service-nsc';
import { createNse, followPoliciesFile, nseSettings } from '@nsm/service-nse';
import { createNsmgr, nsmgrSettings } from '@nsm/service-nsmgr';
import { createRegistry, registrySettings } from '@nsm/service-registry';
import type { Life } from './life.ts';
import type { Mesh } from './mesh.ts';

type Start = (process: PlannedProcess, mesh: Mesh, life: Life) => Promise<void>;

const UNDERLAY_MTU = 1_500;
const ignore = (): void => undefined;
/** Calls within a process prove nobody, and nothing is judged. */
const policies = createPolicies();
const common = { random: Math.random, newId: randomUUID, onUndoFailure: ignore };

/** The services as their main programs put them together, within one process. */
export const programs: Readonly<Record<Exclude<Program, 'identity'>, Start>> = {
  registry: async ({ env }, mesh, life) => {
    const config = readSettings(registrySettings, env);
    const { clock } = life;
    const [services, endpoints] = [createMemoryStore(serviceKind), createMemoryStore(endpointKind)];
    const stopping = new AbortController();
    mesh.registered = () =>
      [...services.list(), ...endpoints.list()].map(({ name }) => name).sort();
    const served = await createRegistry({
      tokens: tokensOf(config, life),
      policies,
      clock,
      services,
      endpoints,
      expirePeriodMs: config.NSM_EXPIRE_PERIOD,
      stopping: stopping.signal,
    });
    life.onEnd(async () => stopping.abort());
    await life.serve(config.NSM_LISTEN_ON, config.NSM_NAME, served);
  },
  nsmgr: async ({ env, namespace }, mesh, life) => {
    const config = readSettings(nsmgrSettings, env);
    const { clock, transport } = life;
    const manager = createNsmgr({
      ...common,
      name: config.NSM_NAME,
      clock,
      transport,
      tokens: tokensOf(config, life),
      policies,
      registryUrl: config.NSM_REGISTRY_URL,
      forwarderService: config.NSM_FORWARDER_NETWORK_SERVICE_NAME,
      ownUrl: config.NSM_LISTEN_ON.find((url) => url.startsWith('tcp:')) ?? '',
      labels: { nodeName: config.NODE_NAME },
      excluded: () => [],
      netnsProof: 'lookup',
      expirePeriodMs: config.NSM_EXPIRE_PERIOD,
      trace: mesh.trace,
    });
    mesh.managers.set(namespace, manager.connections);
    life.onEnd(() => manager.stop());
    await life.serve(config.NSM_LISTEN_ON, config.NSM_NAME, manager.services);
  },
  forwarder: async ({ env, namespace }, mesh, life) => {
    const config = readSettings(forwarderSettings, env);
    const { clock, transport } = life;
    const datapath = createFakeDatapath({ kernel: mesh.kernel, node: mesh.netns(namespace) });
    const forwarder = createForwarder({
      ...common,
      name: config.NSM_NAME,
      owner: config.NSM_NAME,
      tokenLifetimeMs: config.NSM_MAX_TOKEN_LIFETIME,
      onAdoption: ignore,
      clock,
      transport,
      tokens: tokensOf(config, life),
      policies,
      datapath: { ...datapath, watch: (heard) => datapath.watch(life.whileAlive(heard)) },
      tunnel: {
        addresses: config.NSM_TUNNEL_IP.map((ip) => ({ ip, underlayMtu: UNDERLAY_MTU })),
        port: 4_789,
        vnis: createVnis(Math.random),
      },
      // Its devices are processes, which a world within one process has none of.
      wireguard: undefined,
      netnsProof: 'lookup',
      mechanismPriority: config.NSM_MECHANISM_PRIORITY,
      underlayMtu: UNDERLAY_MTU,
      managerUrl: config.NSM_CONNECT_TO,
      forwarderService: config.NSM_NSNAME,
      labels: config.NSM_LABELS,
      trace: mesh.trace,
    });
    await forwarder.adopt();
    await life.serve([config.NSM_LISTEN_ON], config.NSM_NAME, forwarder.services);
    life.onEnd(() => forwarder.stop());
    await forwarder.register(config.NSM_LISTEN_ON);
  },
  nse: async ({ env, namespace }, mesh, life) => {
    const config = readSettings(nseSettings, env);
    const { clock, transport } = life;
    const policyRoutes = await followPoliciesFile(config.NSM_PBR_CONFIG_PATH, ignore, () =>
      nse.askForRefresh(),
    );
    life.onEnd(async () => policyRoutes.close());
    const nse = createNse({
      ...common,
      name: config.NSM_NAME,
      clock,
      transport,
      tokens: tokensOf(config, life),
      policies,
      pools: config.NSM_CIDR_PREFIX.map((group) => createPrefixPool(group)),
      polite: false,
      netns: mesh.netns(namespace),
      policyRoutes: () => policyRoutes.current(),
      managerUrl: config.NSM_CONNECT_TO,
      offers: config.NSM_SERVICE_NAMES,
      payload: config.NSM_PAYLOAD,
      labels: config.NSM_LABELS,
      registerServices: config.NSM_REGISTER_SERVICE,
      unregister: true,
      trace: mesh.trace,
    });
    await life.serve([config.NSM_LISTEN_ON], config.NSM_NAME, nse.services);
    life.onEnd(() => nse.stop());
    await nse.register(config.NSM_LISTEN_ON);
  },
  nsc: async ({ env, namespace, name: process }, mesh, life) => {
    const config = readSettings(nscSettings, env);
    const { NSM_NAME: name, NSM_REQUEST_TIMEOUT: requestTimeoutMs } = config;
    const { clock, transport } = life;
    const client = {
      refusals: [] as string[],
      refreshes: 0,
      heals: 0,
      up: Promise.resolve() as Promise<unknown>,
    };
    mesh.clients.set(process, client);
    const nsc = await createNsc({
      ...common,
      name,
      clock,
      transport,
      tokens: tokensOf(config, life),
      policies,
      managerUrl: config.NSM_CONNECT_TO,
      netns: mesh.netns(namespace),
      requests: config.NSM_NETWORK_SERVICES,
      awarenessGroups: config.NSM_AWARENESS_GROUPS,
      requestTimeoutMs,
      liveness: config.NSM_LIVENESS_CHECK_ENABLED
        ? pingLiveness({
            ping: async ({ dst }) => mesh.kernel.reaches(mesh.netns(namespace), dst),
            intervalMs: config.NSM_LIVENESS_CHECK_INTERVAL,
            timeoutMs: config.NSM_LIVENESS_CHECK_TIMEOUT,
          })
        : undefined,
      onAttempt: (_id, _request, { kind, error, healing }) => {
        if (error) client.refusals.push(error.message);
        else if (healing) client.heals += 1;
        else if (kind === 'refresh') client.refreshes += 1;
      },
    });
    client.up = nsc.up;
    life.onEnd(() => nsc.stop());
  },
};

const tokensOf = (
  config: { readonly NSM_NAME: string; readonly NSM_MAX_TOKEN_LIFETIME: number },
  { clock }: Life,
) => insecureTokens(config.NSM_NAME, config.NSM_MAX_TOKEN_LIFETIME, clock);
