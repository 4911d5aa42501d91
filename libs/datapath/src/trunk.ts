import { REAPER_GROUP } from './alias.ts';
import { DatapathError } from './error.ts';
import type { Kernel, LinkState, Namespace } from './kernel.ts';
import { withNamespace } from './open.ts';
import type { Trunk } from './plan.ts';
import { parseTrunk, trunkAlias, trunkName } from './segment-name.ts';
import { birthOf, buryLink, buryLinks } from './tagging.ts';

const TRUNK_MTU = 1500;

/**
 * The node's end of a trunk, made with the endpoint's if they are not there. It is a carrier like a physical link.
 * @throws DatapathError EEXIST when the endpoint has another link of that name; Error ENOENT when its namespace is gone
 */
export function ensureTrunk(kernel: Kernel, home: Namespace, trunk: Trunk): LinkState {
  const [alias, nodeName] = [trunkAlias(trunk), trunkName(trunk)];
  const space = kernel.enter(trunk.netns);
  try {
    const [end, node] = [space.link(trunk.name), home.link(nodeName)];
    if (end !== undefined && end.alias !== alias) throw foreign(trunk, end);
    if (end !== undefined && node !== undefined && node.peer === end.index) {
      if (!end.up) space.apply([{ op: 'set', dev: end, to: { up: true } }]);
      return node;
    }
    if (node !== undefined) home.apply([{ op: 'delete', dev: node }]);
    if (end !== undefined) space.apply([{ op: 'delete', dev: end }]);
    const link = birthOf(kernel, nodeName, TRUNK_MTU);
    const peer = { ...birthOf(kernel, `${nodeName}-end`, TRUNK_MTU), name: trunk.name };
    home.apply([{ op: 'add-veth', link, peer, peerIn: space }]);
    space.apply([{ op: 'set', dev: peer, to: { alias, up: true } }]);
    home.apply([
      { op: 'set', dev: link, to: { addrGenMode: 'none' } },
      { op: 'set', dev: link, to: { alias, up: true } },
    ]);
    const made = home.link(link.index);
    if (made === undefined) throw new Error(`${nodeName} was made and is gone`);
    return made;
  } finally {
    space.leave();
  }
}

/**
 * Takes trunks without a VLAN out of service. `busy` are the names of carriers that have one.
 * @returns the namespaces in which a link waits for the reaper now
 */
export function sweepTrunks(
  kernel: Kernel,
  home: Namespace,
  links: readonly LinkState[],
  busy: ReadonlySet<string>,
): string[] {
  return links.flatMap(({ alias, name, group }) => {
    const trunk = parseTrunk(alias);
    if (trunk === undefined || group === REAPER_GROUP || busy.has(name)) return [];
    if (name !== trunkName(trunk)) return [];
    withNamespace(kernel, trunk.netns, (space) => buryEnd(space, trunk));
    buryLinks(home, [name]);
    return [home.netns];
  });
}

function buryEnd(space: Namespace, trunk: Trunk): void {
  const dev = space.link(trunk.name);
  if (dev?.alias === trunkAlias(trunk)) buryLink(space, dev);
}

function foreign({ netns, name }: Trunk, { alias, kind }: LinkState): DatapathError {
  const operation = `ip -n ${netns} link add ${name}`;
  const whose = alias === '' ? 'not of the mesh' : `marked ${JSON.stringify(alias)}`;
  return new DatapathError({
    message: `${operation}: File exists (EEXIST): there is a ${kind || 'hardware'} link of that name already, ${whose}; let the endpoint choose another interface name`,
    code: 'EEXIST',
    errno: 17,
    operation,
  });
}
