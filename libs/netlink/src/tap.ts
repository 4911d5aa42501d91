import { closeSync, constants, openSync } from 'node:fs';
import { inNetns, type Netns } from './netns.ts';
import { ioctl } from './sys.ts';

/** <linux/if_tun.h> */
const TUNSETIFF = 0x400454ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;

/**
 * Makes a tap in a namespace: a link whose wire is a file. Reading from the descriptor gives the frames that leave the link, tags
 * included (EAGAIN when there is none), and what is written arrives there. The link goes with its descriptor.
 * @throws Error ENOENT where the machine has no /dev/net/tun, Errno EPERM, EBUSY
 */
export function openTap(netns: Netns, name: string): number {
  return inNetns(netns, () => {
    const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name, 0, 15);
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI, 16);
    try {
      ioctl(fd, TUNSETIFF, request);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  });
}
