import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { foreignExit, isAlive, processId, signalProcess } from './proc.ts';

test('a process is known by its start time too', () => {
  const id = processId(process.pid);
  expect(id).toMatchObject({ pid: process.pid });
  expect(isAlive(id!)).toBe(true);
  expect(isAlive({ ...id!, startTime: '1' })).toBe(false);
  expect(signalProcess({ ...id!, startTime: '1' }, 'SIGKILL')).toBe(false);
});

test('a process that has ended is not alive, also before its parent has asked', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  const exit = once(child, 'exit');
  const id = processId(child.pid!)!;
  expect(signalProcess(id, 'SIGKILL')).toBe(true);
  await foreignExit(id);
  expect(isAlive(id)).toBe(false);
  await exit;
  expect(processId(id.pid)).toBeUndefined();
});
