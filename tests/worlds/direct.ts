import { systemClock } from '@nsm/chain';
import { insecureTokens, tokenHeaders } from '@nsm/identity';
import { NetworkServiceRequest } from '@nsm/proto';
import type { CallOptions } from '@nsm/rpc';
import type { World } from './world.ts';

type Partially = Parameters<typeof NetworkServiceRequest.fromPartial>[0];

/** The headers a client sends. */
const clientHeaders = async (): Promise<Record<string, string>> =>
  tokenHeaders(await insecureTokens('direct', 600_000, systemClock).issue(undefined));

/** A request as a client called `direct` makes it for an interface in `pod`, with whatever of it is to be different. */
export const requestFrom = (
  world: World,
  pod: string,
  service: string,
  change: Partially = {},
): NetworkServiceRequest =>
  NetworkServiceRequest.fromPartial({
    mechanismPreferences: [
      { cls: 'LOCAL', type: 'KERNEL', parameters: { name: 'nsm-1', inodeURL: world.netns(pod) } },
    ],
    ...change,
    connection: {
      id: 'direct-0',
      networkService: service,
      path: { index: 0, pathSegments: [{ name: 'direct', id: 'direct-0' }] },
      ...change.connection,
    },
  });

/** Speaks to the manager of a node as a client does. */
export const direct = (world: World, node: string) => ({
  request: async (request: NetworkServiceRequest, options: CallOptions = {}) =>
    world.manager(node).request(request, {
      headers: await clientHeaders(),
      deadline: Date.now() + 10_000,
      ...options,
    }),
  close: async (connection: Parameters<ReturnType<World['manager']>['close']>[0]) =>
    world.manager(node).close(connection, { headers: await clientHeaders() }),
});
