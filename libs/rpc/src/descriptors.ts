/**
 * What goes beside the messages of one connection over a unix socket (contract 4.9). Files are named by the
 * `inode://<device>/<inode>` that fstat(2) tells of them.
 */
export interface Descriptors {
  /** Sends a descriptor beside the next byte that is written. The caller may close it at once. */
  send(fd: number): void;
  /** Takes a descriptor that has come; the caller closes it. Undefined: it has not come. */
  arrived(inode: string): number | undefined;
  /** A copy of one that has come and was not taken, which is left for whoever takes it; the caller closes it. */
  shown(inode: string): number | undefined;
  /** Takes one that may come yet. @throws NsmError unavailable, and the signal's reason */
  receive(inode: string, signal: AbortSignal): Promise<number>;
  /**
   * Opens the network namespace of the process at the other end; the caller closes it.
   * @throws Error with a code: ESRCH when it is gone or cannot be told, EPERM and EACCES without CAP_SYS_PTRACE over it
   */
  peerNetns(): number;
}
