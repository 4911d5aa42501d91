import { slot } from '@nsm/chain';
import type { Mechanism } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { withConnection } from '../call.ts';
import { interfaceName } from '../interface-name.ts';
import type { REMOTE } from '../mechanism.ts';
import { INTERFACE_NAME, KERNEL, LOCAL, NETNS_URL, NOOP } from '../mechanism.ts';
import type { ServedMechanism } from './mechanisms.ts';

/** A name stays for the life of the connection, made up here or told. */
const known = slot<string>('kernel.name');

export interface KernelOptions {
  /** A number in [0, 1). */
  readonly random: () => number;
  /** The namespace the interface shall be in (inode://dev/ino), for an endpoint; a forwarder leaves the caller's. */
  readonly netns?: string;
}

/** An interface in the kernel (contract 4.3): completes its name and, for an endpoint, names the own namespace. */
export const kernelMechanism = ({ random, netns }: KernelOptions): ServedMechanism => ({
  type: KERNEL,
  cls: LOCAL,
  async run(call, mechanism, next) {
    const inodeURL = netns ?? mechanism.parameters[NETNS_URL] ?? '';
    if (inodeURL === '')
      throw new NsmError(
        'invalid-argument',
        'mechanism.parameters["inodeURL"]: it names no network namespace',
        { hint: 'send inode://<device>/<inode> of the namespace' },
      );
    const given = mechanism.parameters[INTERFACE_NAME] ?? '';
    const name =
      given === ''
        ? (call.scope.get(known) ?? interfaceName(call.connection.networkService, random))
        : given;
    // Whoever asks without it next, having lost it with its process, means the same interface.
    call.scope.keep(known, name);
    const complete: Mechanism = {
      ...mechanism,
      cls: LOCAL,
      parameters: { ...mechanism.parameters, [INTERFACE_NAME]: name, [NETNS_URL]: inodeURL },
    };
    const answer = await next(withConnection(call, { mechanism: complete }));
    return { ...answer, mechanism: complete };
  },
});

/** Nothing is made: the caller wants addresses only (contract 4.6). */
export const noopMechanism = (cls: typeof LOCAL | typeof REMOTE): ServedMechanism => ({
  type: NOOP,
  cls,
  run: async (call, mechanism, next) => ({ ...(await next(call)), mechanism }),
});
