import type { Counters } from '@nsm/netlink';
import { adjust } from './adjust.ts';
import { isMarked, type Mark, REAPER_GROUP } from './alias.ts';
import { birth } from './birth.ts';
import { bury, buryCounted, findMarked, reap } from './bury.ts';
import type { CountedLink } from './census.ts';
import { codeOf, DatapathError } from './error.ts';
import type { Device, Kernel, LinkState } from './kernel.ts';
import { asPlanned, glance, isWhole } from './glance.ts';
import { Memory } from './memory.ts';
import { type OpenEnd, withEnds } from './open.ts';
import { type End, endsOf, type Plan, samePlan, sameWire, type Side } from './plan.ts';
import { createSegments } from './segment.ts';
import type { KeyPair } from './wireguard/key.ts';

/** Makes a kernel match plans. Synchronous; both functions may be called any number of times with the same plan. */
export interface Reconciler {
  /**
   * Makes the kernel match `plan`. `was` is the plan that this one replaces, if the caller knows it. A link that is there already,
   * ours and whole is adjusted, never made anew, whatever its name. When it fails, what it made is removed and what it changed is
   * put back.
   * @param keys of a WireGuard device that is the kernel's own; without them a process has made it
   * @throws Error with code ENOENT (namespace gone), EEXIST (name or VNI taken), or the kernel's
   */
  ensure(plan: Plan, was?: Plan, keys?: KeyPair): Reconciled;
  /** Takes the links of a plan out of service at once. What is not there, or not ours, is left alone. */
  remove(plan: Plan): void;
  /** Takes a link out of service that no plan is known of: what a census found, if it is still there and still the same. */
  discard(link: CountedLink): boolean;
}

/** What ensuring a plan came to. */
export interface Ensured {
  /** `made`: links were born; `adjusted`: some were not as planned; `none`: they were as planned before. */
  readonly change: 'none' | 'adjusted' | 'made';
  /** What the links that were there had carried. */
  readonly counters: Readonly<Partial<Record<Side, Counters>>>;
}

/** What a datapath has to know of it besides. */
export interface Reconciled extends Ensured {
  /** The numbers that the events of the plan's namespaces come with, of those that were met for the first time. */
  readonly nsids: Readonly<Record<string, number>>;
}

/**
 * A reconciler for one kernel; `onBuried` hears of every namespace in which a link waits for the reaper, with its number, by which it
 * can be reaped where it cannot be found any more.
 */
export function createReconciler(
  kernel: Kernel,
  onBuried: (netns: string, nsid: number | undefined) => void,
): Reconciler {
  /** Namespaces whose links were looked through once: a restarted process finds there what its predecessor left. */
  const seen = new Memory<true>();
  /** Namespaces whose own settings were made: they outlive every link. */
  const prepared = new Memory<true>();
  /** By which number each namespace is known at home. */
  const numbers = new Memory<number>();
  /** Buried tunnels by number and port, which they keep until they are reaped. */
  const graves = new Memory<string>();

  /** The index of each end, so that its link need not be looked for when it is removed. */
  const known = new Memory<number>();

  const waits = (netns: string): void => onBuried(netns, numbers.get(netns));
  const segments = createSegments(kernel, waits);

  const remember = ({ id }: Plan, links: readonly Device[], ends: readonly OpenEnd[]): void => {
    ends.forEach(({ side }, i) => {
      const link = links[i];
      if (link !== undefined) known.set(`${id}/${side}`, link.index);
    });
  };

  /** An end whose namespace lives on where this process does not find it, as without a descriptor: its number still leads there. */
  const deleteUnseen = (mark: Mark, { netns, name }: End): void => {
    const nsid = numbers.get(netns);
    const link = nsid === undefined ? undefined : kernel.linkAt(nsid, name);
    if (nsid !== undefined && link !== undefined && isMarked(link.alias, mark))
      kernel.deleteAt(nsid, link);
  };

  const remove = (plan: Plan): void => {
    for (const { side, end } of endsOf(plan)) {
      const key = `${plan.id}/${side}`;
      const index = known.get(key);
      known.delete(key);
      const mark = { id: plan.id, side };
      const buried = bury(kernel, mark, plan.link.kind, end, index);
      if (buried === undefined) deleteUnseen(mark, end);
      if (buried !== true) continue;
      if (plan.link.kind === 'vxlan') graves.set(`${plan.link.vni}/${plan.link.port}`, end.netns);
      waits(end.netns);
    }
    if (plan.link.kind === 'vlan') segments.release(plan, plan.link);
  };

  const discard = (link: CountedLink): boolean => {
    const tunnel = buryCounted(kernel, link);
    if (tunnel === undefined) return false;
    if (tunnel !== '') graves.set(tunnel, link.netns);
    waits(link.netns);
    return true;
  };

  const freeTunnel = (tunnel: string): void => {
    const netns = graves.get(tunnel);
    graves.delete(tunnel);
    if (netns !== undefined) reap(kernel, netns, numbers.get(netns));
  };

  const rebuild = (plan: Plan, was: Plan, keys: KeyPair | undefined): Reconciled => {
    remove(was);
    try {
      return ensure(plan, undefined, keys);
    } catch (error) {
      try {
        ensure(was);
      } catch {
        // The first error is the one to know; the old wire comes back with the next refresh.
      }
      throw error;
    }
  };

  const ensure: Reconciler['ensure'] = (plan, was, keys) => {
    if (was !== undefined && !sameWire(plan, was)) return rebuild(plan, was, keys);
    const unchanged =
      was !== undefined && samePlan(plan, was) ? glance(kernel, plan, numbers) : undefined;
    if (unchanged !== undefined)
      return { change: 'none', counters: countersOf(endsOf(plan), unchanged), nsids: {} };
    const wire = (): Reconciled =>
      withEnds(kernel, plan, (ends) => ensureWire(plan, was, ends, keys));
    return plan.link.kind === 'vlan' ? segments.with(plan, plan.link, wire) : wire();
  };

  const ensureWire = (
    plan: Plan,
    was: Plan | undefined,
    ends: readonly OpenEnd[],
    keys: KeyPair | undefined,
  ): Reconciled => {
    // Before anything is made, so that whatever happens to it is heard.
    const nsids = was === undefined ? numbersOf(ends) : {};
    const bear = (): Reconciled => {
      remember(plan, birth(kernel, { plan, keys }, ends, prepared, freeTunnel), ends);
      return { change: 'made', counters: {}, nsids };
    };
    if (was === undefined && ends.every((end) => isNews(plan, end))) {
      try {
        return bear();
      } catch (error) {
        // A name that is taken is looked at below: it may be a link of ours all the same.
        if (codeOf(error) !== 'EEXIST') throw error;
      }
    }
    const before = endsOf(was ?? plan);
    const links = ends.map(
      (end, i) =>
        linkOf(plan, end, before[i]?.end.name ?? end.end.name) ??
        renamed(plan, end, was !== undefined),
    );
    ends.forEach((end, i) => refuseForeign(plan, end, links[i]));
    const present = links.filter((link) => link !== undefined);
    if (present.length === ends.length && isWhole(kernel, plan, present)) {
      const same = was !== undefined && samePlan(plan, was) && present.every(asPlanned(ends));
      if (!same) adjust(plan, ends, present, was, keys);
      remember(plan, present, ends);
      return { change: same ? 'none' : 'adjusted', counters: countersOf(ends, present), nsids };
    }
    ends.forEach((end, i) => clear(plan, end, links[i], was !== undefined));
    return bear();
  };

  /** Whether an end is most probably not there yet: nobody has left it there, and this process has not made it. */
  const isNews = ({ id }: Plan, { side, space }: OpenEnd): boolean =>
    seen.has(space.netns) && !known.has(`${id}/${side}`);

  /** A namespace that has no number yet is a new one, also when an earlier one had its inode: what was remembered is of that. */
  const numbersOf = (ends: readonly OpenEnd[]): Reconciled['nsids'] => {
    const met = kernel.nsids(ends.map(({ space }) => space));
    return Object.fromEntries(
      ends.map(({ space: { netns } }, i) => {
        const { nsid = -1, isNew = true } = met[i] ?? {};
        if (isNew) for (const memory of [seen, prepared]) memory.delete(netns);
        numbers.set(netns, nsid);
        return [netns, nsid];
      }),
    );
  };

  /** An end that has another name than planned: a workload may rename its links, also while nobody looks. */
  const renamed = (
    { id }: Plan,
    { side, space }: OpenEnd,
    expected: boolean,
  ): LinkState | undefined =>
    seen.has(space.netns) && !expected ? undefined : findMarked(space.links(), { id, side });

  /** Removes what is left of an end that is to be born: a broken link, or what an earlier process or a rename has left. */
  const clear = (
    plan: Plan,
    { side, space }: OpenEnd,
    link: LinkState | undefined,
    expected: boolean,
  ): void => {
    if (link !== undefined) space.apply([{ op: 'delete', dev: link }]);
    if (seen.has(space.netns) && !expected) return;
    seen.set(space.netns, true);
    const links = space.links();
    const left = findMarked(links, { id: plan.id, side });
    if (left !== undefined) space.apply([{ op: 'delete', dev: left }]);
    if (links.some(({ group }) => group === REAPER_GROUP)) waits(space.netns);
  };

  return { ensure, remove, discard };
}

const countersOf = (
  ends: readonly Pick<OpenEnd, 'side'>[],
  links: readonly LinkState[],
): Ensured['counters'] => Object.fromEntries(ends.map(({ side }, i) => [side, links[i]?.counters]));

/** Our link under the name it had, or whatever has the name it shall have. */
function linkOf(
  { id }: Plan,
  { side, end, space }: OpenEnd,
  before: string,
): LinkState | undefined {
  const old = before === end.name ? undefined : space.link(before);
  return old !== undefined && isMarked(old.alias, { id, side }) ? old : space.link(end.name);
}

function refuseForeign(
  { id }: Plan,
  { side, end, space }: OpenEnd,
  link: LinkState | undefined,
): void {
  if (link === undefined || isMarked(link.alias, { id, side })) return;
  const whose = link.alias === '' ? 'not of the mesh' : `marked ${JSON.stringify(link.alias)}`;
  const operation = `ip -n ${space.netns} link add ${end.name}`;
  const problem = `there is a ${link.kind || 'hardware'} link of that name already, ${whose}; ask for another interface name`;
  throw new DatapathError({
    message: `${operation}: File exists (EEXIST): ${problem}`,
    code: 'EEXIST',
    errno: 17,
    operation,
  });
}
