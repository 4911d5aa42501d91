import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { followLog, type LogLine, problemsIn, readLog } from './log-file.ts';

let dir = '';
let file = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lab-log-'));
  file = join(dir, 'x.log');
  writeFileSync(file, '{"msg":"old"}\n');
});
afterEach(() => rmSync(dir, { recursive: true }));

const offset = '{"msg":"old"}\n'.length;
const named =
  (wanted: string) =>
  ({ msg }: LogLine) =>
    msg === wanted ? msg : undefined;
const never = new Promise<never>(() => undefined);
const { signal } = new AbortController();

describe('a log', () => {
  test('is read from an offset, as far as its lines are complete', () => {
    appendFileSync(file, '{"msg":"a"}\n\n{"msg":"b"');
    expect(readLog(file, offset)).toEqual([{ msg: 'a' }]);
    expect(readLog(join(dir, 'none'))).toEqual([]);
  });

  test('is followed while it grows, also by halves of lines', async () => {
    const found = followLog(file, 0, named('ready'), { ended: never, signal });
    for (const part of ['{"msg":"x"}\n{"ms', 'g":"rea', 'dy"}\n']) {
      appendFileSync(file, part);
      await new Promise(setImmediate);
    }
    expect(await found).toBe('ready');
  });

  test('is read to its end when its writer has ended', async () => {
    const ended = Promise.withResolvers<undefined>();
    const found = followLog(file, offset, named('last'), { ended: ended.promise, signal });
    const missed = followLog(file, offset, named('ready'), { ended: ended.promise, signal });
    appendFileSync(file, '{"msg":"last"}\n');
    ended.resolve(undefined);
    expect([await found, await missed]).toEqual(['last', undefined]);
  });

  test('is no longer followed when the caller gives up', async () => {
    const stop = new AbortController();
    const found = followLog(file, 0, named('ready'), { ended: never, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(found).rejects.toThrow('enough');
  });

  test('tells problems by their text and cause, and crashes as they are', () => {
    appendFileSync(
      file,
      [
        '{"level":"info","msg":"fine"}',
        '{"level":"warn","msg":"slow","err":{"message":"no answer"}}',
        'TypeError: x is not a function',
        '{"level":"error","msg":"cannot start"}',
        '',
      ].join('\n'),
    );
    const lines = readLog(file);
    expect(problemsIn(lines)).toEqual([
      'slow: no answer',
      'TypeError: x is not a function',
      'cannot start',
    ]);
    expect(problemsIn(lines, 1)).toEqual(['cannot start']);
  });
});
