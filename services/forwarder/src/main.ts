import { createVnis } from '@nsm/connection';
import { createDatapath } from '@nsm/datapath';
import {
  logUndoFailure,
  main,
  reportOutcome,
  reportRegistration,
  tellConnections,
} from '@nsm/service';
import { settings } from './config.ts';
import { readDeviceSelector } from './device-selector.ts';
import { createForwarder } from './forwarder.ts';
import { logAdoption, tellAdoption } from './log-adoption.ts';
import { ownerOf } from './owner.ts';
import { whyNoIpsec } from './ipsec.ts';
import { underlayMtu } from './underlay.ts';
import { tellWires } from './tell-wires.ts';
import { openWireguard } from './wireguard.ts';

const VXLAN_PORT = 4_789;
/** Of wires that stay on this node, where no underlay says otherwise. */
const LOCAL_MTU = 1_500;

await main('forwarder', settings, async (config, runtime) => {
  const { log, clock, random, newId, transport, observer } = runtime;
  const { NSM_NAME: name } = config;
  const addresses = config.NSM_TUNNEL_IP.map((ip) => ({ ip, underlayMtu: underlayMtu(ip) }));
  const [first] = addresses;
  const { NSM_DEVICE_SELECTOR_FILE: selector } = config;
  const owner = ownerOf(name);
  const wireguard = openWireguard({ ...config, owner }, first, log);
  const datapath = createDatapath({ wireguard: wireguard.tunnel?.devices });
  runtime.onStop('data path', () => datapath.close());

  const forwarder = createForwarder({
    name,
    owner,
    tokenLifetimeMs: config.NSM_MAX_TOKEN_LIFETIME,
    onAdoption: (adoption) => {
      logAdoption(log)(adoption);
      tellAdoption(observer, adoption);
    },
    clock,
    random,
    newId,
    transport,
    datapath,
    tokens: runtime.tokens(name, config.NSM_MAX_TOKEN_LIFETIME),
    policies: runtime.policies,
    maxPath: runtime.maxPath,
    tunnel:
      first === undefined
        ? undefined
        : {
            addresses,
            port: config.NSM_VXLAN_PORT || VXLAN_PORT,
            vnis: createVnis(random),
          },
    wireguard: wireguard.tunnel,
    noWireguard: wireguard.why,
    noIpsec: whyNoIpsec(),
    netnsProof: config.NSM_NETNS_PROOF,
    mechanismPriority: config.NSM_MECHANISM_PRIORITY,
    // What a tunnel's own address allows is part of what its ends agree on.
    underlayMtu: Math.max(...addresses.map(({ underlayMtu: mtu }) => mtu), first ? 0 : LOCAL_MTU),
    networks: selector === '' ? undefined : readDeviceSelector(selector),
    managerUrl: config.NSM_CONNECT_TO,
    forwarderService: config.NSM_NSNAME,
    labels: config.NSM_LABELS,
    onUndoFailure: logUndoFailure(log),
    onOutcome: reportOutcome(runtime),
    trace: runtime.trace,
    onRegistration: reportRegistration(runtime),
  });
  tellConnections(runtime.metrics, () => forwarder.connections.list());
  tellWires(runtime.metrics, { owner, datapath, connections: forwarder.connections });
  await forwarder.adopt();
  const [listener] = await runtime.serve([config.NSM_LISTEN_ON], name, forwarder.services);
  runtime.onStop('registration', () => forwarder.stop());
  await forwarder.register(listener?.url ?? config.NSM_LISTEN_ON);
});
