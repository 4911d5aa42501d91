import type { ConnectionElement } from '../call.ts';
import { namespacesIn, type Namespaces } from '../namespaces.ts';
import { pathOf } from '../path.ts';
import { proveNetns, type NetnsProof } from '../prove-netns.ts';

export interface ReceiveNetnsOptions {
  /** Holds what comes, for as long as the call is under way. */
  readonly namespaces: Namespaces;
  readonly proof: NetnsProof;
}

/**
 * Takes the descriptors of the namespaces that a call names (contract 4.9), and refuses a request that names one its caller cannot
 * prove. A caller at the origin of the path may prove its own by living there. A close proves nothing: what it takes down was proven.
 * It may come without one, as when a token has ended, so it takes none that may be a request's.
 */
export const receiveNetns = ({ namespaces, proof }: ReceiveNetnsOptions): ConnectionElement => ({
  name: 'receive-netns',
  async run(call, next) {
    const { descriptors, signal, connection } = call;
    const own = pathOf(connection).index === 0;
    const releases: (() => void)[] = [];
    const holdNetns = (url: string, fd: number): void =>
      void releases.push(namespaces.hold(url, fd));
    try {
      for (const url of namespacesIn(connection, call.preferences)) {
        const fd =
          call.op === 'close'
            ? descriptors?.shown(url)
            : await proveNetns(url, { proof, descriptors, own, signal });
        if (fd !== undefined) holdNetns(url, fd);
      }
      return await next({ ...call, holdNetns });
    } finally {
      for (const release of releases) release();
    }
  },
});
