import { readdirSync, readlinkSync } from 'node:fs';
import type { Lab } from '@nsm/lab';
import { listRules, withRtnetlink } from '@nsm/netlink';

/**
 * Everything a mesh has in the kernel, as text without what differs between two makings of the same: links with addresses, routes and
 * neighbours and the rules of every namespace, and descriptors of every process by kind, sockets among them.
 */
export function footprint(lab: Lab): string[] {
  const namespaces = lab.plan.namespaces.flatMap(({ name }) =>
    lab
      .addresses(name)
      .flatMap(linesOf)
      .map((line) => `${name}: ${line}`),
  );
  const descriptors = lab
    .processes()
    .flatMap(({ name, pid, alive }) =>
      alive ? descriptorsOf(pid).map((line) => `${name}: ${line}`) : [],
    );
  const rules = lab.plan.namespaces.flatMap(({ name, path }) =>
    withRtnetlink(path, listRules).map(
      ({ priority, table, protocol }) =>
        `${name}: rule ${priority} table ${table} protocol ${protocol}`,
    ),
  );
  return [...namespaces, ...rules, ...descriptors].sort();
}

type Interface = ReturnType<Lab['addresses']>[number];

const linesOf = ({ name, kind, addresses, routes, neighbours }: Interface): string[] => [
  `link ${name} ${kind}`,
  ...addresses.map((address) => `address ${address} dev ${name}`),
  ...routes.map((route) => `route ${route} dev ${name}`),
  ...neighbours.map((neighbour) => `neighbour ${neighbour} dev ${name}`),
];

/** How many descriptors of each kind a process has: `socket 12`. */
function descriptorsOf(pid: number): string[] {
  const kinds = new Map<string, number>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${fd}`);
    if (kind !== undefined) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => `descriptors ${kind} ${count}`);
}

/** `socket:[123]` is a socket; undefined when it was closed between the list and the look. */
function kindOf(path: string): string | undefined {
  try {
    return readlinkSync(path).replace(/:\[\d+\]$/, '');
  } catch {
    return undefined;
  }
}

/** What is in one of two footprints alone, with the sign it has in a diff. */
export const changes = (before: readonly string[], after: readonly string[]): string[] => [
  ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
  ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
];

/** What is open for longer than a call is no longer of that call, in ms. */
const LASTING_MS = 1_000;

/**
 * Looks until nothing has changed for `ms`: idle threads end by themselves, and what a token held goes when it ends. What comes and
 * goes with the refresh of a wire that stays is no change.
 */
export async function unchanged(look: () => string[], ms: number): Promise<string[]> {
  let [last, since] = [look(), performance.now()];
  let [other, otherSince] = [last, since];
  while (performance.now() - since < ms || !isSame(other, last)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = look();
    if (!isSame(now, other)) [other, otherSince] = [now, performance.now()];
    if (!isSame(now, last) && performance.now() - otherSince > LASTING_MS)
      [last, since] = [other, otherSince];
  }
  return last;
}

const isSame = (one: readonly string[], another: readonly string[]): boolean =>
  one.join('\n') === another.join('\n');
