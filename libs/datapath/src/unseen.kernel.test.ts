import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createNetns,
  deleteNetns,
  formatNetns,
  listLinks,
  netnsOf,
  openRtnetlink,
  type Rtnetlink,
} from '@nsm/netlink';
import { createDatapath, type Datapath } from './datapath.ts';
import { localPlan, type Places, remotePlan } from './testing.ts';

/** Pods that a forwarder without sight of the node's processes finds by descriptors only, which come and go with calls. */

let directory: string;
let places: Places;
let datapath: Datapath;
/** Keep the namespaces alive, as a pod's processes would, and are found by nobody. */
let inside: Record<keyof Places, Rtnetlink>;

const path = (name: string): string => join(directory, name);
const make = (name: string): string => {
  createNetns(path(name));
  return formatNetns(netnsOf(path(name)));
};
const hide = (): void => {
  for (const name of ['client', 'endpoint']) deleteNetns(path(name));
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-unseen-'));
  places = { client: make('client'), endpoint: make('endpoint') };
  inside = { client: openRtnetlink(path('client')), endpoint: openRtnetlink(path('endpoint')) };
  datapath = createDatapath();
});
afterEach(async () => {
  await datapath.close();
  hide();
  for (const rtnetlink of Object.values(inside)) rtnetlink.close();
  rmSync(directory, { recursive: true });
});

/** The links in a pod once there is nothing but loopback, or after two seconds. */
async function left(pod: Rtnetlink): Promise<string[]> {
  const names = (): string[] => listLinks(pod).map(({ name }) => name);
  for (let i = 0; i < 100 && names().length > 1; i += 1) await pause(20);
  return names();
}

const wires = {
  'a tunnel': () => remotePlan('client', places.client),
  'a pair': () => localPlan(places),
};

test.each(Object.entries(wires))(
  '%s that is closed while its pods can be seen is gone when they cannot',
  async (_, planOf) => {
    const plan = planOf();
    await datapath.ensure(plan);
    await datapath.remove(plan);
    hide();
    expect(await left(inside.client)).toEqual(['lo']);
    expect(await left(inside.endpoint)).toEqual(['lo']);
  },
);

test.each(Object.entries(wires))(
  '%s whose token ends when its pods cannot be seen is gone, and its number is free',
  async (_, planOf) => {
    const plan = planOf();
    await datapath.ensure(plan);
    hide();
    await datapath.remove(plan);
    expect(await left(inside.client)).toEqual(['lo']);
    expect(await left(inside.endpoint)).toEqual(['lo']);
    const other = remotePlan('client', make('another'));
    expect(await datapath.ensure(other)).toMatchObject({ change: 'made' });
    await datapath.remove(other);
    deleteNetns(path('another'));
  },
);
