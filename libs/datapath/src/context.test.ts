import { describe, expect, test } from '@jest/globals';
import { contextCases } from './context-cases.ts';
import { createFakeDatapath, createFakeKernel } from './fake.ts';
import type { Plan } from './plan.ts';
import { localPlan } from './testing.ts';
import type { WireContext } from './wire.ts';

const places = { client: 'inode://4/1', endpoint: 'inode://4/2' };
const planOf = (context: WireContext): Plan => localPlan(places, { context });

/** What a namespace has of a plan that was never another one; which table, and where its rule stands, depends on what was there. */
const born = async (plan: Plan): Promise<string[]> => {
  const datapath = createFakeDatapath();
  await datapath.ensure(plan);
  return comparable(datapath.show(places));
};
const comparable = (lines: string[]): string[] =>
  lines.map((line) => line.replace(/ table \d+/, '').replace(/ priority \d+/, '')).toSorted();

describe.each(contextCases)('a change of $name', ({ before, after, changes, back }) => {
  const [one, other] = [planOf(before), planOf(after)];

  test('is made by exactly the operations it takes, there and back', async () => {
    const datapath = createFakeDatapath();
    await datapath.ensure(one);
    const start = datapath.operations.length;
    await datapath.ensure(other, one);
    const between = datapath.operations.length;
    expect(datapath.operations.slice(start)).toEqual(changes);
    await datapath.ensure(one, other);
    expect(datapath.operations.slice(between)).toEqual(back);
  });

  test.each([
    ['there', one, other],
    ['back', other, one],
  ])('leaves what a new wire would have, also after a restart: %s', async (_, was, plan) => {
    const kernel = createFakeKernel();
    await createFakeDatapath({ kernel }).ensure(was);
    await createFakeDatapath({ kernel }).ensure(plan);
    const restarted = createFakeDatapath({ kernel });
    expect(comparable(restarted.show(places))).toEqual(await born(plan));
    const made = restarted.operations.length;
    await restarted.ensure(plan);
    // Settings are not read, but written again.
    expect(restarted.operations.slice(made).filter((op) => op !== 'sysctl')).toEqual([]);
    await restarted.remove(plan);
    expect(restarted.show(places)).toEqual([]);
  });
});
