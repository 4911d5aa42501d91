import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { instruments } from '@nsm/service';
import { programs } from './programs.ts';

const root = join(import.meta.dirname, '../..');
const files = (pattern: string): string[] => globSync(pattern, { cwd: root }).sort();
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const settings = new Set(Object.values(programs).flatMap((each) => Object.keys(each)));
const source = files('{libs,services}/*/src/**/*.ts')
  .filter((file) => !file.endsWith('.test.ts'))
  .map(read)
  .join('\n');
/** Of Linux, and of Prometheus' alerts. */
const OTHERS = ['ip -d link show', 'for'];

describe.each(files('docs/runbooks/*.md'))('%s', (file) => {
  const text = read(file);
  const quoted = [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  const commands = quoted.filter((code) => code.startsWith('nsm '));
  const rest = quoted.filter((code) => !commands.includes(code) && !OTHERS.includes(code));

  test('has only commands that nsm knows, with these options', () => {
    const refused = commands.filter((command) => {
      const args = [...command.split(' ').slice(1), '--help'];
      return spawnSync(join(root, 'dist/bin/nsm'), args).status !== 0;
    });
    expect(refused).toEqual([]);
  });

  test('names only settings that a program reads', () => {
    const names = [...text.matchAll(/\b(?:NSM|SPIFFE)_[A-Z_]+\*?/g)].map(([name]) => name);
    const isOne = (name: string): boolean =>
      name.endsWith('*')
        ? [...settings].some((setting) => setting.startsWith(name.slice(0, -1)))
        : settings.has(name);
    expect(names.filter((name) => !isOne(name))).toEqual([]);
  });

  test('quotes only what programs say, and metrics there are', () => {
    const metrics = rest.flatMap((code) => code.match(/\b(?:nsm|process)_\w+/g) ?? []);
    expect(metrics.filter((name) => !(name in instruments))).toEqual([]);
    const said = rest
      .filter((code) => !/\b(?:nsm|process|NSM)_/.test(code))
      .map((code) => code.replace(/^--probe /, ''));
    expect(said.filter((words) => !source.includes(words))).toEqual([]);
  });
});
