import { describe, expect, test } from '@jest/globals';
import type { BaseCall, Element } from './chain.ts';
import { chain, untraced } from './chain.ts';
import { Scope } from './scope.ts';

export { createFakeClock } from './fake-clock.ts';
export type { FakeClock } from './fake-clock.ts';

/** What the laws need to try an element out: something it changes, and a way to look at it. */
export interface LawWorld<C extends BaseCall, R> {
  /** A new instance over the same world, as after a restart of the process. */
  element(): Element<C, R>;
  /** The call to make; the same one each time. */
  call(base: BaseCall): C;
  /** What the rest of the chain answers. */
  answer(call: C): R;
  /** What there is in the world, compared by value. */
  state(): unknown;
}

/** The laws every element that leaves a trace in the world obeys (docs/architecture.md, the chain). */
export function elementLaws<C extends BaseCall, R>(
  name: string,
  world: () => LawWorld<C, R>,
): void {
  const start = () => {
    const w = world();
    const scope = new Scope();
    const run = async (
      element = w.element(),
      answer: (call: C) => Promise<R> | R = w.answer.bind(w),
      signal = new AbortController().signal,
    ) => {
      const result = await chain(element).run(
        w.call({ scope, signal, trace: untraced }),
        async (call) => answer(call),
      );
      scope.commit();
      return result;
    };
    return { w, scope, run };
  };

  describe(`laws of ${name}`, () => {
    test('it leaves a trace, or these laws would show nothing', async () => {
      const { w, run } = start();
      const before = structuredClone(w.state());
      await run();
      expect(w.state()).not.toEqual(before);
    });

    test('requested twice is requested once', async () => {
      const { w, run } = start();
      const element = w.element();
      await run(element);
      const once = structuredClone(w.state());
      await run(element);
      expect(w.state()).toEqual(once);
    });

    test('a later failure leaves the world as it was found', async () => {
      const { w, run } = start();
      const before = structuredClone(w.state());
      await expect(run(w.element(), () => Promise.reject(new Error('below')))).rejects.toThrow(
        'below',
      );
      expect(w.state()).toEqual(before);
    });

    test('a failed refresh leaves what the first request made', async () => {
      const { w, run } = start();
      const element = w.element();
      await run(element);
      const once = structuredClone(w.state());
      await expect(run(element, () => Promise.reject(new Error('below')))).rejects.toThrow('below');
      expect(w.state()).toEqual(once);
    });

    test('closed is gone, and closed twice is closed once', async () => {
      const { w, run, scope } = start();
      const before = structuredClone(w.state());
      await run();
      expect(await scope.close()).toEqual([]);
      expect(w.state()).toEqual(before);
      expect(await scope.close()).toEqual([]);
      expect(w.state()).toEqual(before);
    });

    test('after a restart the same request finds its own', async () => {
      const { w, run } = start();
      await run();
      const once = structuredClone(w.state());
      const again = w.element();
      await chain(again).run(
        w.call({ scope: new Scope(), signal: new AbortController().signal, trace: untraced }),
        async (call) => w.answer(call),
      );
      expect(w.state()).toEqual(once);
    });

    test('an abort while it waits below leaves nothing', async () => {
      const { w, run } = start();
      const before = structuredClone(w.state());
      const controller = new AbortController();
      const aborted = run(
        w.element(),
        () => {
          controller.abort(new Error('caller gone'));
          controller.signal.throwIfAborted();
          throw new Error('not reached');
        },
        controller.signal,
      );
      await expect(aborted).rejects.toThrow('caller gone');
      expect(w.state()).toEqual(before);
    });
  });
}
