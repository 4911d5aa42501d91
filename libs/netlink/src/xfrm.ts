import { attribute } from './attribute.ts';
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from './message.ts';
import { openNetlink } from './socket.ts';
import { AF_INET } from './sys.ts';

/** <linux/netlink.h>, <linux/xfrm.h> */
const NETLINK_XFRM = 6;
const XFRM_MSG_NEWSA = 16;
const XFRMA_ALG_AUTH = 1;
const XFRMA_ALG_CRYPT = 2;
const XFRM_MODE_TUNNEL = 1;
const IPPROTO_ESP = 50;
/** struct xfrm_usersa_info, and where its fields are that matter. */
const SA = { size: 224, daddr: 56, spi: 72, proto: 76, saddr: 80, family: 212, mode: 214 } as const;
/** Lifetimes without limit: XFRM_INF, four times. */
const LIFETIME = { at: 96, size: 32 } as const;
const ALGORITHM_NAME = 64;

/**
 * `ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 256 mode tunnel auth hmac(sha1) KEY enc cbc(aes) KEY`: what IPSEC takes
 * (contract 4.5). EPROTONOSUPPORT, ENOENT: the kernel has no ESP; ENOSYS: not these algorithms.
 */
const espState = (): Request => {
  const info = Buffer.alloc(SA.size);
  info.set([192, 0, 2, 2], SA.daddr);
  info.writeUInt32BE(256, SA.spi);
  info.writeUInt8(IPPROTO_ESP, SA.proto);
  info.set([192, 0, 2, 1], SA.saddr);
  info.fill(0xff, LIFETIME.at, LIFETIME.at + LIFETIME.size);
  info.writeUInt16LE(AF_INET, SA.family);
  info.writeUInt8(XFRM_MODE_TUNNEL, SA.mode);
  return {
    type: XFRM_MSG_NEWSA,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: Buffer.concat([
      info,
      algorithm(XFRMA_ALG_AUTH, 'hmac(sha1)', 160),
      algorithm(XFRMA_ALG_CRYPT, 'cbc(aes)', 256),
    ]),
    words: 'ip xfrm state add proto esp',
  };
};

/** Adds a state to the thread's own namespace. @throws NetlinkError, Errno EPROTONOSUPPORT: the kernel has no xfrm at all */
export function addEspState(): void {
  const xfrm = openNetlink(NETLINK_XFRM);
  try {
    xfrm.request([espState()]);
  } finally {
    xfrm.close();
  }
}

/** struct xfrm_algo with a key of zeros, which nothing is ever encrypted with. */
function algorithm(type: number, name: string, bits: number): Buffer {
  const algo = Buffer.alloc(ALGORITHM_NAME + 4 + bits / 8);
  algo.write(name);
  algo.writeUInt32LE(bits, ALGORITHM_NAME);
  return attribute(type, algo);
}
