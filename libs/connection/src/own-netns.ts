import { stat } from 'node:fs/promises';

/** The network namespace of this process as the protocol names it: inode://<device>/<inode> (contract 4.8). */
export async function ownNetns(): Promise<string> {
  const { dev, ino } = await stat('/proc/self/ns/net', { bigint: true });
  return `inode://${dev}/${ino}`;
}
