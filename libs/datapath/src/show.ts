import type { Kernel, LinkState, Namespace, PolicyRule, Programmed } from './kernel.ts';
import { withNamespace } from './open.ts';

/**
 * The state of namespaces as the `ip` commands that would make it, one per line, sorted: the form in which tests compare kernels.
 * `labels` gives a namespace its name in the text. Indexes, which differ from run to run, are left out, as is loopback.
 */
export function showNamespaces(kernel: Kernel, labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).flatMap(([label, netns]) => [
    ...(withNamespace(kernel, netns, (space) =>
      [
        ...space
          .links()
          .filter(({ name }) => name !== 'lo')
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
          .flatMap((link) => [
            ...showLink(link),
            ...showDevice(space, link),
            ...showProgrammed(link, space.programmed(link.index)),
          ]),
        ...showRules(space),
      ].map((words) => `ip -n ${label} ${words}`),
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

/** In the words of wg(8), which has no secret to tell here. */
const showDevice = (space: Namespace, link: LinkState): string[] => {
  const device = link.kind === 'wireguard' ? space.wireguard(link) : undefined;
  if (device === undefined) return [];
  const peers = device.peers.map(({ key, endpoint }) => ` peer ${key} endpoint ${endpoint}`);
  return [`wg set ${link.name} listen-port ${device.port}${peers.join('')}`];
};

function showProgrammed(
  { name }: LinkState,
  { addresses, routes, neighbours, policies = [] }: Programmed,
): string[] {
  const showRoutes = (list: Programmed['routes'], table?: number): string[] =>
    list
      .map(
        ({ to, via, scope }) =>
          `route add ${to}${option('via', via)} dev ${name}${option('scope', scope)}${option('table', table)}`,
      )
      .toSorted();
  return [
    ...addresses.map((address) => `addr add ${address} dev ${name}`).toSorted(),
    ...showRoutes(routes),
    ...neighbours
      .map(
        ({ to, mac, state }) =>
          `neigh add ${to} lladdr ${mac} dev ${name}${state === 'permanent' ? '' : ` nud ${state}`}`,
      )
      .toSorted(),
    ...policies.flatMap((policy) => showRoutes(policy.routes, policy.table)),
  ];
}

/** The mesh's, in the order in which they are tried. */
const showRules = (space: Namespace): string[] =>
  space
    .rules()
    .filter(({ ours }) => ours)
    .toSorted((a, b) => a.family - b.family || a.priority - b.priority)
    .map(showRule);

const showRule = ({
  family,
  from,
  proto,
  srcPorts,
  dstPorts,
  table,
  priority,
}: PolicyRule): string =>
  `${family === 6 ? '-6 ' : ''}rule add${option('from', from)}${option('ipproto', proto)}` +
  `${option('sport', srcPorts?.join('-'))}${option('dport', dstPorts?.join('-'))} table ${table} priority ${priority}`;

const option = (word: string, value: string | number | undefined): string =>
  value === undefined ? '' : ` ${word} ${value}`;
