import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createNetns,
  deleteNetns,
  formatNetns,
  linkSet,
  netnsOf,
  withRtnetlink,
} from '@nsm/netlink';
import fc from 'fast-check';
import { createDatapath, type Datapath } from '../datapath.ts';
import { createFakeDatapath } from '../fake.ts';
import { createNetlinkKernel } from '../netlink-kernel.ts';
import type { Plan } from '../plan.ts';
import { showNamespaces } from '../show.ts';
import { comparable, type Step, stepsOf } from './testing.ts';

const SIDES = ['client', 'endpoint'] as const;
let directory: string;
let datapath: Datapath;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-sequences-'));
  datapath = createDatapath();
});
afterEach(async () => {
  await datapath.close();
  for (const side of SIDES) deleteNetns(join(directory, side));
  rmSync(directory, { recursive: true });
});

test('any sequence of refreshes, closes and kills ends in what the kernel in memory has', async () => {
  for (const side of SIDES) {
    createNetns(join(directory, side));
    // As in every pod: a namespace that never had an IPv4 address takes no gateway for one.
    withRtnetlink(join(directory, side), (rtnetlink) =>
      rtnetlink.request([linkSet(1, { up: true })]),
    );
  }
  const [client, endpoint] = SIDES.map((side) => formatNetns(netnsOf(join(directory, side))));
  const places = { client: client!, endpoint: endpoint! };
  const restart = async (): Promise<void> => {
    await datapath.close();
    datapath = createDatapath();
  };
  /** Once the reaper, which the end waits for, has done its work. */
  const show = async (): Promise<string[]> => {
    await restart();
    return comparable(showNamespaces(createNetlinkKernel(), places));
  };
  await fc.assert(
    fc.asyncProperty(stepsOf(places, 6), async (steps: readonly Step[]) => {
      const memory = createFakeDatapath();
      const wanted = new Map<number, Plan>();
      for (const step of steps) {
        if (step.do === 'kill') await restart();
        else if (step.do === 'ensure') {
          await datapath.ensure(step.plan, step.known ? wanted.get(step.wire) : undefined);
          wanted.set(step.wire, step.plan);
        } else {
          const plan = wanted.get(step.wire);
          if (plan !== undefined) await datapath.remove(plan);
          wanted.delete(step.wire);
        }
      }
      for (const plan of wanted.values()) await memory.ensure(plan);
      expect(await show()).toEqual(comparable(memory.show(places)));
      for (const plan of wanted.values()) await datapath.remove(plan);
      expect(await show()).toEqual([]);
    }),
    { numRuns: 8, endOnFailure: true },
  );
});
