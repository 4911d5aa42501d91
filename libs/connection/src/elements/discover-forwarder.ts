import { slot } from '@nsm/chain';
import {
  State,
  type Connection,
  type NetworkService,
  type NetworkServiceEndpoint,
} from '@nsm/proto';
import { subset, type Discovery } from '@nsm/registry';
import { NsmError } from '@nsm/rpc';
import type { Call, ConnectionElement } from '../call.ts';
import { serviceOf } from '../discovery.ts';
import { pathOf } from '../path.ts';
import { tryEach } from '../try-each.ts';

/** The forwarder this connection goes through. */
const sticky = slot<string>('discover-forwarder');

/** A forwarder for any service that does not ask for special ones (contract 3.11). */
const DEFAULT_LABELS = { p2p: 'true' };

export interface ForwarderDiscovery {
  readonly discovery: Discovery;
  /** The network service forwarders register for. */
  readonly forwarderService: string;
  /** The manager's public URL: what forwarders of this node are registered under. */
  readonly ownUrl: string;
}

/** Chooses a forwarder of this node: the one the connection has, or the first that can, by the labels the service asks for. */
export const discoverForwarder = ({
  discovery,
  forwarderService,
  ownUrl,
}: ForwarderDiscovery): ConnectionElement => ({
  name: 'discover-forwarder',
  async run(call, next) {
    const { connection, scope } = call;
    const { networkService, payload, state } = connection;
    const reselect = state === State.RESELECT_REQUESTED;
    const current = reselect ? undefined : scope.get(sticky);
    const service = await serviceOf(discovery, networkService, payload, call);
    if (!service)
      throw new NsmError('not-found', `network service ${networkService} is not found`, {
        hint: 'see what is registered: nsm get services',
      });
    const here = await discovery.endpoints(
      {
        networkServiceNames: [forwarderService],
        url: ownUrl,
        ...(current !== undefined && { name: current }),
      },
      call,
    );
    const candidates = eligible(here, service, connection, forwarderService);
    if (candidates.length === 0) throw none(current, here.length, forwarderService);
    const previous = reselect
      ? undefined
      : pathOf(connection).pathSegments[pathOf(connection).index + 1]?.name;
    const ordered = [
      ...candidates.filter(({ name }) => name === previous),
      ...candidates.filter(({ name }) => name !== previous),
    ];
    const texts = { what: 'forwarder', none: 'all forwarders have failed' };
    return tryEach(ordered, texts, (forwarder) => through(forwarder, call, next));
  },
});

async function through(
  { name, url }: NetworkServiceEndpoint,
  call: Call,
  next: (call: Call) => Promise<Connection>,
): Promise<Connection> {
  const answer = await next({ ...call, target: { name, url } });
  call.scope.keep(sticky, name);
  return answer;
}

function none(current: string | undefined, here: number, forwarderService: string): NsmError {
  const hint =
    'start a forwarder on this node, or give one the labels the service asks for in matches[].metadata.labels';
  if (current !== undefined)
    return new NsmError('no-candidate', `forwarder ${current} is not available`, { hint });
  const why =
    here === 0
      ? `no forwarder is registered on this node (service "${forwarderService}")`
      : `none of the ${here} forwarders of this node has the labels the service asks for`;
  return new NsmError('no-candidate', `no candidates found: ${why}`, { hint });
}

/** Forwarders with the labels of the first match that has any (contract 3.11, rule 4). */
function eligible(
  forwarders: readonly NetworkServiceEndpoint[],
  service: NetworkService,
  { labels }: Connection,
  forwarderService: string,
): readonly NetworkServiceEndpoint[] {
  if (service.matches.length === 0) return forwarders;
  for (const match of service.matches) {
    if (!subset(labels, match.sourceSelector, labels)) continue;
    const wanted = match.metadata?.labels ?? DEFAULT_LABELS;
    const found = forwarders.filter((f) =>
      subset(f.networkServiceLabels[forwarderService]?.labels ?? {}, wanted, labels),
    );
    if (found.length > 0 || !match.fallthrough) return found;
  }
  return [];
}
