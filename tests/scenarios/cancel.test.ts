import { expect, test } from '@jest/globals';
import type { Trace } from '@nsm/chain';
import { direct, requestFrom } from '../worlds/direct.ts';
import { startMemory } from '../worlds/memory.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

test.each(['near', 'far'])(
  'a request for the service %s that is cancelled at any point of its way leaves nothing',
  async (service) => {
    /** Called whenever any element of any hop begins or ends. */
    let onStep = (): void => undefined;
    const trace: Trace = async (_element, body) => {
      onStep();
      try {
        return await body();
      } finally {
        onStep();
      }
    };
    const world = await startMemory(
      twoNodes('canc', '  a: { node: n1, services: [kernel://near/nsm-0] }'),
      { trace },
    );
    await world.connected('a');
    const before = JSON.stringify(await world.census());
    const speak = direct(world, 'n1');

    let succeeded = false;
    let at = 0;
    while (!succeeded) {
      at += 1;
      const controller = new AbortController();
      let step = 0;
      onStep = () => {
        step += 1;
        if (step === at) controller.abort(new Error(`cancelled at step ${at}`));
      };
      try {
        const answer = await speak.request(requestFrom(world, 'a', service), {
          signal: controller.signal,
        });
        onStep = () => undefined;
        succeeded = !controller.signal.aborted;
        await speak.close(answer);
      } catch (err) {
        expect(controller.signal.aborted).toBe(true);
        expect(err).toMatchObject({ code: 'cancelled' });
      }
      onStep = () => undefined;
      await eventually(world.census, (now) => JSON.stringify(now) === before);
    }
    // 9 elements of the manager, 11 of the forwarder and 8 of the endpoint each begin and end.
    expect(at).toBeGreaterThan(service === 'near' ? 50 : 90);
    await world.stop();
  },
);
