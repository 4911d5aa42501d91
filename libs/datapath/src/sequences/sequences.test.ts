import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createFakeDatapath, createFakeKernel, type FakeDatapath } from '../fake.ts';
import type { Plan } from '../plan.ts';
import { comparable, type Step, stepsOf } from './testing.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };

/** What is there when these plans are carried out and nothing else ever was. */
async function born(plans: Iterable<Plan>): Promise<string[]> {
  const datapath = createFakeDatapath();
  for (const plan of plans) await datapath.ensure(plan);
  return comparable(datapath.show(places));
}

test('any sequence of refreshes, closes and kills ends in what is wanted, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf(places, 12), async (steps: readonly Step[]) => {
      const kernel = createFakeKernel();
      let datapath: FakeDatapath = createFakeDatapath({ kernel });
      const wanted = new Map<number, Plan>();
      for (const step of steps) {
        if (step.do === 'kill') datapath = createFakeDatapath({ kernel });
        else if (step.do === 'ensure') {
          await datapath.ensure(step.plan, step.known ? wanted.get(step.wire) : undefined);
          wanted.set(step.wire, step.plan);
        } else {
          const plan = wanted.get(step.wire);
          if (plan !== undefined) await datapath.remove(plan);
          wanted.delete(step.wire);
        }
      }
      expect(comparable(datapath.show(places))).toEqual(await born(wanted.values()));
      for (const plan of wanted.values()) await datapath.remove(plan);
      expect(datapath.show(places)).toEqual([]);
      expect(await datapath.census()).toEqual({ links: [], buried: {}, rules: {} });
    }),
    { numRuns: 100 },
  );
});
