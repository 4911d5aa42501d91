import { compareAddresses, parseAddress } from '@nsm/ip';
import { listAddresses, listLinks, withRtnetlink } from '@nsm/netlink';

/** MTU in octets of the link of this namespace that has an address. @throws Error when none has it */
export function underlayMtu(address: string): number {
  const wanted = parseAddress(address);
  return withRtnetlink(undefined, (rtnetlink) => {
    const links = listLinks(rtnetlink);
    const carrier = links.find(({ index }) =>
      listAddresses(rtnetlink, index).some(
        (found) =>
          found.address.family === wanted.family && compareAddresses(found.address, wanted) === 0,
      ),
    );
    if (!carrier)
      throw new Error(
        `NSM_TUNNEL_IP=${address}: no link of this node has this address; it has ${links.map(({ name }) => name).join(', ')}`,
      );
    return carrier.mtu;
  });
}
