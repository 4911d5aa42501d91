import type { NetlinkEvent } from '@nsm/netlink';
import { isTombstone, parseAlias, REAPER_GROUP } from './alias.ts';
import { endsOf, type Plan } from './plan.ts';

/** Something happened to a wire that nobody asked for. */
export type Disturbance =
  /** A link of it was deleted, renamed or taken down, or may have been (`lost`: the kernel told of more than could be heard). */
  | { readonly id: string; readonly cause: 'link' | 'lost' }
  /** A namespace it ends in is gone, and its links with it. */
  | { readonly id: string; readonly cause: 'namespace'; readonly netns: string };

/** Compares what the kernel tells with what was asked for. */
export interface Watch {
  /** From now on the wire is to be as planned; `nsids` are the numbers its namespaces are heard by. */
  expect(plan: Plan, nsids: Readonly<Record<string, number>>): void;
  /** The wire is not wanted any more: whatever happens to its links is as it should be. */
  forget(id: string): void;
  hear(event: NetlinkEvent): void;
}

export interface WatchOptions {
  readonly onDisturbed: (disturbance: Disturbance) => void;
  /** Runs an action a moment later. A change comes as several events, and only the last of them counts. */
  readonly soon: (action: () => void) => void;
}

/** A watch that expects nothing yet. */
export function createWatch({ onDisturbed, soon }: WatchOptions): Watch {
  const plans = new Map<string, Plan>();
  const namespaces = new Map<number, string>();
  /** The last event of each link. */
  let waiting = new Map<string, LinkEvent>();

  const judge = (): void => {
    const events = waiting;
    waiting = new Map();
    const disturbed = new Set<string>();
    for (const event of events.values()) {
      const id = idOf(event.link.alias);
      const plan = id === undefined ? undefined : plans.get(id);
      if (plan !== undefined && disturbs(event, plan)) disturbed.add(plan.id);
    }
    for (const id of disturbed) onDisturbed({ id, cause: 'link' });
  };
  const end = (netns: string): void => {
    for (const plan of [...plans.values()])
      if (endsOf(plan).some(({ end: { netns: its } }) => its === netns))
        onDisturbed({ id: plan.id, cause: 'namespace', netns });
  };

  return {
    expect: (plan, nsids) => {
      plans.set(plan.id, plan);
      for (const [netns, nsid] of Object.entries(nsids)) namespaces.set(nsid, netns);
    },
    forget: (id) => void plans.delete(id),
    hear: (event) => {
      switch (event.event) {
        case 'lost':
          for (const id of [...plans.keys()]) onDisturbed({ id, cause: 'lost' });
          return;
        case 'no-netns': {
          const netns = namespaces.get(event.nsid);
          namespaces.delete(event.nsid);
          if (netns !== undefined) end(netns);
          return;
        }
        default:
          if (idOf(event.link.alias) === undefined) return;
          if (waiting.size === 0) soon(judge);
          waiting.set(`${event.nsid ?? 'own'}/${event.link.index}`, event);
      }
    },
  };
}

type LinkEvent = Extract<NetlinkEvent, { event: 'link' | 'no-link' }>;

const idOf = (alias: string): string | undefined => parseAlias(alias)?.id;

/** Whether a link of this plan is not as it was asked for; one that waits for the reaper is. */
function disturbs({ event, link }: LinkEvent, plan: Plan): boolean {
  const mark = parseAlias(link.alias);
  const end = endsOf(plan).find(({ side }) => side === mark?.side)?.end;
  if (end === undefined || mark?.owner !== plan.owner) return false;
  if (link.group === REAPER_GROUP || isTombstone(link.name)) return false;
  return event === 'no-link' || link.name !== end.name || !link.up;
}
