// Our forwarder with everything but the kernel: it agrees on wires and makes none, as upstream's chains do without VPP.
import { createVnis } from '@nsm/connection';
import type { Datapath } from '@nsm/datapath';
import { main, reportOutcome } from '@nsm/service';
import { createForwarder, forwarderSettings } from '@nsm/service-forwarder';

const MTU = 1_500;
const ignore = (): void => undefined;
const none: Datapath = {
  ensure: async () => ({ change: 'none', counters: {} }),
  remove: async () => undefined,
  watch: () => true,
  discard: async () => false,
  census: async () => ({ links: [], buried: {}, rules: {} }),
  close: async () => undefined,
};

await main('forwarder', forwarderSettings, async (config, runtime) => {
  const { clock, random, newId, transport } = runtime;
  const { NSM_NAME: name, NSM_TUNNEL_IP: ips } = config;
  const forwarder = createForwarder({
    name,
    owner: name,
    tokenLifetimeMs: config.NSM_MAX_TOKEN_LIFETIME,
    onAdoption: ignore,
    clock,
    random,
    newId,
    transport,
    datapath: none,
    policies: runtime.policies,
    tokens: runtime.tokens(name, config.NSM_MAX_TOKEN_LIFETIME),
    tunnel: {
      addresses: ips.map((ip) => ({ ip, underlayMtu: MTU })),
      port: 4_789,
      vnis: createVnis(random),
    },
    wireguard: undefined,
    netnsProof: config.NSM_NETNS_PROOF,
    mechanismPriority: [],
    underlayMtu: MTU,
    managerUrl: config.NSM_CONNECT_TO,
    forwarderService: config.NSM_NSNAME,
    labels: config.NSM_LABELS,
    onUndoFailure: ignore,
    onOutcome: reportOutcome(runtime),
  });
  await forwarder.adopt();
  await runtime.serve([config.NSM_LISTEN_ON], name, forwarder.services);
  runtime.onStop('registration', () => forwarder.stop());
  await forwarder.register(config.NSM_LISTEN_ON);
});
