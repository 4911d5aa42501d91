import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createNetns,
  deleteNetns,
  formatNetns,
  getLink,
  netnsOf,
  ping,
  type PingResult,
  withRtnetlink,
} from '@nsm/netlink';
import { contextCases, STEADY } from './context-cases.ts';
import { createDatapath, type Datapath } from './datapath.ts';
import { createFakeDatapath } from './fake.ts';
import { createNetlinkKernel } from './netlink-kernel.ts';
import type { Plan } from './plan.ts';
import { showNamespaces } from './show.ts';
import { localPlan } from './testing.ts';
import type { WireContext } from './wire.ts';

const SIDES = ['client', 'endpoint'] as const;
type Places = Readonly<Record<(typeof SIDES)[number], string>>;

let directory: string;
let places: Places;
let datapath: Datapath;

const path = (name: string): string => join(directory, name);
const planOf = (context: WireContext): Plan => localPlan(places, { context });
const show = (): string[] => showNamespaces(createNetlinkKernel(), places);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-context-'));
  for (const side of SIDES) createNetns(path(side));
  places = {
    client: formatNetns(netnsOf(path('client'))),
    endpoint: formatNetns(netnsOf(path('endpoint'))),
  };
  datapath = createDatapath();
});

afterEach(async () => {
  await datapath.close();
  for (const side of SIDES) deleteNetns(path(side));
  rmSync(directory, { recursive: true });
});

/** Pings all that stays, both ways, every 5 ms. */
const stream = (): Promise<PingResult[]> =>
  Promise.all(
    SIDES.flatMap((side) =>
      STEADY[side].map((dst) =>
        ping({ netns: path(side), dst, count: 40, intervalMs: 5, timeoutMs: 5_000 }),
      ),
    ),
  );

describe.each(contextCases)('a change of $name', ({ name, before, after }) => {
  test('loses no packet, there and back, and leaves what the kernel in memory has', async () => {
    const [one, other] = [planOf(before), planOf(after)];
    const memory = createFakeDatapath();
    await datapath.ensure(one);
    await memory.ensure(one);
    const index = (): number | undefined =>
      withRtnetlink(path('client'), (rtnetlink) => getLink(rtnetlink, 'nsm-1')?.index);
    const born = index();
    const running = stream();
    for (const [plan, was] of [
      [other, one],
      [one, other],
    ] as const) {
      await datapath.ensure(plan, was);
      await memory.ensure(plan, was);
      expect(show()).toEqual(memory.show(places));
    }
    const results = await running;
    // A frame that is on its way to the old hardware address is nobody's.
    const allowed = name.startsWith('the hardware address of the client') ? 2 : 0;
    for (const { sent, received, errors } of results)
      expect({ sent, errors, lost: Math.max(0, sent - received - allowed) }).toEqual({
        sent: 40,
        errors: [],
        lost: 0,
      });
    // Without the old plan, as after a restart.
    await datapath.ensure(other);
    await memory.ensure(other);
    expect(show()).toEqual(memory.show(places));
    expect(index()).toBe(born);
    await datapath.remove(other);
    expect(show().filter((line) => line.includes(' rule add'))).toEqual([]);
    expect((await datapath.census()).rules[places.client]).toBeUndefined();
  });
});
