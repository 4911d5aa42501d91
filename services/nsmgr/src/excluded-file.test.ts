import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { FollowedFile } from '@nsm/service';
import { followExcludedFile } from './excluded-file.ts';

let folder: string;
let file: string;
let following: FollowedFile<readonly string[]> | undefined;
const faults: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  file = join(folder, 'excluded.yaml');
});
afterEach(() => {
  following?.close();
  rmSync(folder, { recursive: true });
  faults.length = 0;
});

const follow = async (): Promise<FollowedFile<readonly string[]>> =>
  (following = await followExcludedFile(file, (fault) => faults.push(fault)));
const until = async (passes: () => boolean): Promise<void> => {
  while (!passes()) await setImmediate();
};

test('a missing file excludes nothing, and is read when it comes', async () => {
  const followed = await follow();
  expect(followed.current()).toEqual([]);
  writeFileSync(file, 'prefixes: [10.0.0.0/8]');
  await until(() => followed.current().length === 1);
  expect(followed.current()).toEqual(['10.0.0.0/8']);
});

test('of many changes in a row the last one stands', async () => {
  const followed = await follow();
  for (let i = 0; i <= 200; i += 1) writeFileSync(file, `prefixes: [10.0.${i}.0/24]`);
  await until(() => followed.current()[0] === '10.0.200.0/24');
  // Whatever is still on its way has been read before this one.
  writeFileSync(`${file}.new`, 'prefixes: [192.168.0.0/16]');
  renameSync(`${file}.new`, file);
  await until(() => followed.current()[0] === '192.168.0.0/16');
  expect(faults).toEqual([]);
});

test('a faulty file is told, and what was read before stays', async () => {
  writeFileSync(file, 'prefixes: [10.0.0.0/8]');
  const followed = await follow();
  writeFileSync(`${file}.new`, 'prefixes: [nonsense]');
  renameSync(`${file}.new`, file);
  await until(() => faults.length > 0);
  expect(faults[0]).toContain('what was read before stays in force');
  expect(followed.current()).toEqual(['10.0.0.0/8']);
});
