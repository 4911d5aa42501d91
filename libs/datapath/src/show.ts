import type { Kernel, LinkState } from './kernel.ts';
import { withNamespace } from './open.ts';

/**
 * The state of namespaces as the `ip` commands that would make it, one per line, sorted: the form in which tests compare kernels.
 * `labels` gives a namespace its name in the text. Indexes, which differ from run to run, are left out, as is loopback.
 */
export function showNamespaces(kernel: Kernel, labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).flatMap(([label, netns]) => [
    ...(withNamespace(kernel, netns, (space) =>
      space
        .links()
        .filter(({ name }) => name !== 'lo')
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .flatMap((link) => [
          ...showLink(link),
          ...showProgrammed(link, space.programmed(link.index)),
        ])
        .map((words) => `ip -n ${label} ${words}`),
    ) ?? [`# ${label} is gone`]),
  ]);
}

function showLink({ name, mac, mtu, kind, vxlan, alias, up }: LinkState): string[] {
  const tunnel =
    vxlan === undefined
      ? ''
      : ` id ${vxlan.vni} local ${vxlan.local} remote ${vxlan.remote} dstport ${vxlan.port}`;
  return [
    `link add ${name} address ${mac} mtu ${mtu} type ${kind}${tunnel}`,
    `link set ${name} alias ${alias} ${up ? 'up' : 'down'}`,
  ];
}

function showProgrammed(
  { name }: LinkState,
  { addresses, routes, neighbours }: ReturnType<ReturnType<Kernel['home']>['programmed']>,
): string[] {
  return [
    ...addresses.map((address) => `addr add ${address} dev ${name}`).toSorted(),
    ...routes
      .map(
        ({ to, via, scope }) =>
          `route add ${to}${option('via', via)} dev ${name}${option('scope', scope)}`,
      )
      .toSorted(),
    ...neighbours.map(({ to, mac }) => `neigh add ${to} lladdr ${mac} dev ${name}`).toSorted(),
  ];
}

const option = (word: string, value: string | undefined): string =>
  value === undefined ? '' : ` ${word} ${value}`;
