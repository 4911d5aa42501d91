import { tokenHeaders } from '@nsm/identity';
import { NetworkServiceRequest } from '@nsm/proto';
import type { CallOptions, HeadersFor } from '@nsm/rpc';
import { showNetns } from './show-netns.ts';
import type { World } from './world.ts';

type Partially = Parameters<typeof NetworkServiceRequest.fromPartial>[0];

/** The headers a client sends. */
const clientHeaders =
  ({ tokens }: World): HeadersFor =>
  async (server) =>
    tokenHeaders(await tokens.issue(server));

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
      headers: clientHeaders(world),
      deadline: Date.now() + 10_000,
      onConnection: showNetns(request.connection, request.mechanismPreferences),
      ...options,
    }),
  close: async (connection: Parameters<ReturnType<World['manager']>['close']>[0]) =>
    world.manager(node).close(connection, {
      headers: clientHeaders(world),
      onConnection: showNetns(connection),
    }),
});
