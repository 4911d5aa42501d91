import { describe, expect, test } from '@jest/globals';
import { readSettings } from '@nsm/service';
import { shipped } from '../worlds/compose-file.ts';
import { programs as tables, unknownSettings } from './programs.ts';

interface ComposeService {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
}

describe('docker-compose.yml', () => {
  const services = Object.entries(shipped['services'] ?? {}) as [string, ComposeService][];
  const programs = services.flatMap(([name, { image, environment }]) => {
    const program = /^nsm\/(\w+):/.exec(image)?.[1] ?? '';
    return program in tables ? [{ name, program, environment: environment ?? {} }] : [];
  });

  test('has every program', () => {
    expect(new Set(programs.map(({ program }) => program))).toEqual(new Set(Object.keys(tables)));
  });

  test.each(programs)(
    '$name sets only what $program reads, and validly',
    ({ program, environment }) => {
      expect(unknownSettings(program, Object.keys(environment))).toEqual([]);
      // What the file takes from the environment stands in it with its default.
      const values = Object.entries(environment).map(
        ([name, text]) => [name, text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')] as const,
      );
      expect(() => readSettings(tables[program]!, Object.fromEntries(values))).not.toThrow();
    },
  );
});
