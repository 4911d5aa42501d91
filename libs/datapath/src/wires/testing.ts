import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect } from '@jest/globals';
import {
  createNetns,
  deleteNetns,
  formatNetns,
  getLink,
  listLinks,
  netnsOf,
  ping,
  type PingResult,
  withRtnetlink,
} from '@nsm/netlink';
import { createDatapath, type Datapath } from '../datapath.ts';
import { createNetlinkKernel } from '../netlink-kernel.ts';
import { showNamespaces } from '../show.ts';
import type { Places } from '../testing.ts';

/** Two pods of a node in the real kernel, a data path, and what can be seen of them. A pod is known by its name. */
export interface Stage {
  places: Places;
  datapath: Datapath;
  readonly path: (name: string) => string;
  /** @returns its reference */
  readonly makeNetns: (name: string) => string;
  readonly links: (name: string) => string[];
  readonly indexOf: (name: string, dev: string) => number | undefined;
  /** What is programmed in both pods, as `ip` lines. */
  readonly show: () => string[];
  readonly echo: (
    dst: string,
    from?: string,
    more?: Omit<Parameters<typeof ping>[0], 'netns' | 'dst'>,
  ) => Promise<PingResult>;
  /** Waits until nothing is left in namespaces but loopback. */
  readonly reaped: (...names: string[]) => Promise<void>;
}

/** Gives every test of this file new pods `client` and `endpoint` and a data path, and removes whatever was made afterwards. */
export function onStage(): Stage {
  let directory: string;
  const path = (name: string): string => join(directory, name);
  const links = (name: string): string[] =>
    withRtnetlink(path(name), (rtnetlink) => listLinks(rtnetlink).map((link) => link.name));
  const stage: Stage = {
    places: { client: '', endpoint: '' },
    datapath: undefined as never,
    path,
    links,
    makeNetns: (name) => {
      createNetns(path(name));
      return formatNetns(netnsOf(path(name)));
    },
    indexOf: (name, dev) =>
      withRtnetlink(path(name), (rtnetlink) => getLink(rtnetlink, dev)?.index),
    show: () => {
      const { client, endpoint } = stage.places;
      return showNamespaces(createNetlinkKernel(), { client, endpoint });
    },
    echo: (dst, from = 'client', more = {}) =>
      ping({ netns: path(from), dst, timeoutMs: 3000, ...more }),
    reaped: async (...names) => {
      for (let i = 0; i < 200 && names.some((name) => links(name).length > 1); i += 1)
        await sleep(20);
      for (const name of names) expect(links(name)).toEqual(['lo']);
    },
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'nsm-datapath-'));
    stage.places = { client: stage.makeNetns('client'), endpoint: stage.makeNetns('endpoint') };
    stage.datapath = createDatapath();
  });
  afterEach(async () => {
    await stage.datapath.close();
    for (const name of readdirSync(directory)) deleteNetns(path(name));
    rmSync(directory, { recursive: true });
  });
  return stage;
}
