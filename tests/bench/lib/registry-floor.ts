// What a registry of ours cannot be cheaper than: it proves itself and its callers, and answers what it was asked without looking at
// it. Takes NSM_LISTEN_ON and SPIFFE_ENDPOINT_SOCKET.
import { systemClock } from '@nsm/chain';
import { workloadSource } from '@nsm/identity';
import { Empty, NetworkServiceEndpointRegistryDefinition } from '@nsm/proto';
import { createGrpcTransport, service } from '@nsm/rpc';

const url = process.env['NSM_LISTEN_ON'] ?? '';
const identity = workloadSource({
  dialer: createGrpcTransport(),
  url: process.env['SPIFFE_ENDPOINT_SOCKET'] ?? '',
  clock: systemClock,
  random: Math.random,
});
await createGrpcTransport(identity).serve(url, 'floor', [
  service(NetworkServiceEndpointRegistryDefinition, {
    register: async (entry) => entry,
    find: async function* ({ networkServiceEndpoint }) {
      yield { networkServiceEndpoint, deleted: false };
    },
    unregister: async () => Empty.create(),
  }),
]);
