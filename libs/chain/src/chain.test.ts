import { describe, expect, test } from '@jest/globals';
import type { BaseCall, Element } from './chain.ts';
import { chain, UndoError, untraced } from './chain.ts';
import { Scope, slot } from './scope.ts';
import { elementLaws } from './testing.ts';

interface Call extends BaseCall {
  readonly text: string;
}
type TextElement = Element<Call, string>;

const call = (text = '', signal = new AbortController().signal): Call => ({
  text,
  signal,
  scope: new Scope(),
  trace: untraced,
});
const last = async (c: Call): Promise<string> => c.text;

/** Adds its name to the world while held. */
const marker = (world: string[], name: string): TextElement => {
  const mine = slot<string>(name);
  return {
    name,
    async run(c, next) {
      if (c.scope.get(mine) === undefined) {
        c.scope.hold(mine, name, () => void world.splice(world.indexOf(name), 1));
        world.push(name);
      }
      return next({ ...c, text: c.text + name });
    },
  };
};
const failing: TextElement = { name: 'failing', run: () => Promise.reject(new Error('no')) };

describe('chain', () => {
  test('runs elements in the order of the list', async () => {
    const c = chain(marker([], 'a'), marker([], 'b'));
    expect(c.name).toBe('a > b');
    expect(await c.run(call('>'), last)).toBe('>ab');
  });

  test('undoes what was held below the failure, newest first, and nothing above', async () => {
    const undone: string[] = [];
    const holding = (name: string): TextElement => ({
      name,
      run: async (c, next) => {
        c.scope.hold(slot(name), name, () => void undone.push(name));
        return next(c);
      },
    });
    const first = call();
    const catching: TextElement = {
      name: 'catching',
      run: (c, next) => next(c).catch(() => 'caught'),
    };
    expect(
      await chain(holding('a'), catching, holding('b'), holding('c'), failing).run(first, last),
    ).toBe('caught');
    expect(undone).toEqual(['c', 'b']);
    await first.scope.close();
    expect(undone).toEqual(['c', 'b', 'a']);
  });

  test('may try what is below several times, until it succeeds', async () => {
    const world: string[] = [];
    let tries = 0;
    const retry: TextElement = { name: 'retry', run: (c, next) => next(c).catch(() => next(c)) };
    const flaky: TextElement = {
      name: 'flaky',
      run: (c, next) => (++tries === 1 ? Promise.reject(new Error('first')) : next(c)),
    };
    await chain(retry, marker(world, 'm'), flaky).run(call(), last);
    expect(world).toEqual(['m']);
    const twice: TextElement = { name: 'twice', run: (c, next) => next(c).then(() => next(c)) };
    await expect(chain(twice).run(call(), last)).rejects.toThrow('called again after it succeeded');
  });

  test('starts no element once the caller is gone', async () => {
    const world: string[] = [];
    await expect(
      chain(marker(world, 'a')).run(call('', AbortSignal.abort(new Error('gone'))), last),
    ).rejects.toThrow('gone');
    expect(world).toEqual([]);
  });

  test('a failed undo does not stop the others and is told with the cause', async () => {
    const undone: string[] = [];
    const bad: TextElement = {
      name: 'bad',
      run: (c, next) => {
        c.scope.hold(slot('bad'), 1, () => Promise.reject(new Error('stuck')));
        return next(c);
      },
    };
    const good: TextElement = {
      name: 'good',
      run: (c, next) => {
        c.scope.hold(slot('good'), 1, () => void undone.push('good'));
        return next(c);
      },
    };
    const err: unknown = await chain(good, bad, failing)
      .run(call(), last)
      .catch((e: unknown) => e);
    expect(err).toBeInstanceOf(UndoError);
    expect((err as UndoError).message).toBe('no; undoing it failed too: stuck');
    expect(undone).toEqual(['good']);
  });
});

describe('scope', () => {
  const wire = slot<string>('wire');

  test('holding a slot again keeps its place and replaces its undo', async () => {
    const undone: string[] = [];
    const scope = new Scope();
    scope.hold(wire, 'one', () => void undone.push('one'));
    scope.hold(slot('later'), 0, () => void undone.push('later'));
    scope.hold(wire, 'two', () => void undone.push('two'));
    expect(scope.get(wire)).toBe('two');
    await scope.close();
    expect(undone).toEqual(['later', 'two']);
  });

  test('a failed refresh puts the former value back and restores the world to it', async () => {
    const scope = new Scope();
    let world = 'one';
    scope.hold(wire, 'one', () => void (world = ''));
    scope.commit();
    const mark = scope.mark;
    scope.hold(
      wire,
      'two',
      () => void (world = ''),
      (was) => void (world = was),
    );
    world = 'two';
    await scope.unwind(mark);
    expect([scope.get(wire), world]).toEqual(['one', 'one']);
  });

  test('a dropped slot is undone once, and what took its place is undone on failure', async () => {
    const undone: string[] = [];
    const scope = new Scope();
    scope.hold(wire, 'old', () => void undone.push('old'));
    scope.commit();
    const mark = scope.mark;
    await scope.drop(wire);
    scope.hold(wire, 'new', () => void undone.push('new'));
    await scope.unwind(mark);
    expect(undone).toEqual(['old', 'new']);
    expect(scope.empty).toBe(true);
  });
});

elementLaws('an element that holds one thing', () => {
  const world = new Set<string>();
  const held = slot<string>('held');
  return {
    element: (): TextElement => ({
      name: 'adds',
      run: (c, next) => {
        c.scope.hold(held, 'x', () => void world.delete('x'));
        world.add('x');
        return next(c);
      },
    }),
    call: (base) => ({ ...base, text: '' }),
    answer: () => 'ok',
    state: () => [...world],
  };
});
