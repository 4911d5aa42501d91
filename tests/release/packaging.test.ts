import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readSettings } from '@nsm/service';
import { programs, unknownSettings } from './programs.ts';

const packaging = join(import.meta.dirname, '../../packaging');
const read = (...path: string[]): string => readFileSync(join(packaging, ...path), 'utf8');
const units = readdirSync(join(packaging, 'systemd'))
  .filter((file) => file.endsWith('.service'))
  .map((file) => ({
    file,
    program: /^nsm-(\w+)/.exec(file)?.[1] ?? '',
    text: read('systemd', file),
  }));

describe.each(units)('$file', ({ program, text }) => {
  test('starts a program with an environment that comes along', () => {
    expect(Object.keys(programs)).toContain(program);
    expect(text).toContain(`\nExecStart=/opt/nsm/bin/${program}\n`);
    const file = /^EnvironmentFile=\/etc\/nsm\/(.+)$/m.exec(text)?.[1]?.replace('%i', 'NAME') ?? '';
    expect(existsSync(join(packaging, 'env', file))).toBe(true);
  });

  test('gives no rights but to the forwarder', () => {
    const bounding = /^CapabilityBoundingSet=(.*)$/m.exec(text)?.[1];
    const ambient = /^AmbientCapabilities=(.*)$/m.exec(text)?.[1];
    if (program === 'forwarder')
      expect(bounding).toBe('CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_PTRACE');
    else expect(bounding).toBe('');
    expect(ambient ?? '').toBe(bounding);
    expect(text).toContain('\nUser=nsm\n');
    expect(text).toContain('\nNoNewPrivileges=true\n');
  });
});

test.each(readdirSync(join(packaging, 'env')))(
  '%s sets only what its program reads, and validly',
  (file) => {
    const program = file.replace(/(-NAME)?\.env$/, '');
    const given = Object.fromEntries(
      read('env', file)
        .split('\n')
        .filter((line) => /^\w+=/.test(line))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    ) as Record<string, string>;
    expect(unknownSettings(program, Object.keys(given))).toEqual([]);
    expect(() => readSettings(programs[program]!, given)).not.toThrow();
  },
);
