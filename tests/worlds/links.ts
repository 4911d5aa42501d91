import { formatAddress } from '@nsm/ip';
import { listAddresses, listLinks, withRtnetlink } from '@nsm/netlink';

/** Links of a namespace that neither the kernel nor a container engine made, with index, MTU and addresses. */
export const linksOf = (netns: string): readonly string[] =>
  withRtnetlink(netns, (rtnetlink) =>
    listLinks(rtnetlink)
      .filter(({ name }) => !/^(lo|eth\d+)$/.test(name))
      .map(({ name, index, mtu }) =>
        [
          `${index} ${name} mtu ${mtu}`,
          ...listAddresses(rtnetlink, index).map(({ address }) => formatAddress(address)),
        ].join(' '),
      ),
  );
