import { netnsOf } from '@nsm/netlink';

/**
 * Whose links a forwarder of this node makes: its name with the inode of the node's network namespace, both the same after a restart.
 * The name alone is not enough: two meshes on one machine may use the same, and each would sweep what the other lives on.
 */
export const ownerOf = (name: string): string => `${name}.${netnsOf('/proc/self/ns/net').ino}`;
