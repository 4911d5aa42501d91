import { slot } from '@nsm/chain';
import type { NetworkServiceEndpoint } from '@nsm/proto';
import { isPassed, type PassedSockets } from '@nsm/rpc';
import type { RegistryElement } from '../call.ts';

interface Passed {
  readonly url: string;
  readonly release: () => void;
}
const passed = slot<Passed>('receive-socket');

/** Takes the descriptor of the socket that an endpoint names by its inode, and holds it while the endpoint is registered (contract 4.9). */
export const receiveSocket = (sockets: PassedSockets): RegistryElement<NetworkServiceEndpoint> => ({
  name: 'receive-socket',
  run: async (call, next) => {
    const { scope, descriptors, signal, entry } = call;
    const { url } = entry;
    const before = scope.get(passed);
    // A refresh sends it again; what is not taken is closed.
    if (before?.url === url) return next(call);
    if (!isPassed(url)) {
      await scope.drop(passed);
      return next(call);
    }
    const release = await sockets.receive(url, descriptors, signal);
    scope.hold(passed, { url, release }, release, release);
    const registered = await next(call);
    before?.release();
    return registered;
  },
});
