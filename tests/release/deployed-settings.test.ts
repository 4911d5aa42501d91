import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Settings } from '@nsm/service';
import { readSettings } from '@nsm/service';
import { forwarderSettings } from '@nsm/service-forwarder';
import { nscSettings } from '@nsm/service-nsc';
import { nseSettings } from '@nsm/service-nse';
import { nsmgrSettings } from '@nsm/service-nsmgr';
import { registrySettings } from '@nsm/service-registry';
import { parse } from 'yaml';
import { shipped } from '../worlds/compose-file.ts';

const tables: Readonly<Record<string, Settings>> = {
  registry: registrySettings,
  nsmgr: nsmgrSettings,
  forwarder: forwarderSettings,
  nse: nseSettings,
  nsc: nscSettings,
};
/** What every program takes beside its own table. */
const common = ['NSM_LOG_LEVEL', 'NSM_INSECURE'];
const unknown = (program: string, names: readonly string[]): string[] =>
  names.filter((name) => !common.includes(name) && !(name in (tables[program] ?? {})));

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
      expect(unknown(program, Object.keys(environment))).toEqual([]);
      // What the file takes from the environment stands in it with its default.
      const values = Object.entries(environment).map(
        ([name, text]) => [name, text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')] as const,
      );
      expect(() => readSettings(tables[program]!, Object.fromEntries(values))).not.toThrow();
    },
  );
});

describe('the Helm chart', () => {
  const chart = join(import.meta.dirname, '../../charts/nsm');
  const templates = readdirSync(join(chart, 'templates'))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => readFileSync(join(chart, 'templates', file), 'utf8'));
  // A container begins with its name, which is that of its program.
  const containers = templates
    .flatMap((text) => text.split(/^(?= +- name: [\w-]+$)/m))
    .flatMap((text) => {
      const program = /^ +- name: ([\w-]+)$/m.exec(text)?.[1] ?? '';
      const names = [...text.matchAll(/\{ name: ([A-Z][A-Z_]+)/g)].map(([, name = '']) => name);
      return program in tables ? [{ program, names, text }] : [];
    });

  test('has every program', () => {
    expect(containers.map(({ program }) => program).sort()).toEqual(Object.keys(tables).sort());
  });

  test.each(containers)('$program is given only settings it reads', ({ program, names }) => {
    expect(names.length).toBeGreaterThan(0);
    expect(unknown(program, names)).toEqual([]);
  });

  test('what every program is given exists', () => {
    const parts = readFileSync(join(chart, 'templates/_parts.tpl'), 'utf8');
    const names = [...parts.matchAll(/\{ name: (NSM_\w+)/g)].map(([, name = '']) => name);
    for (const program of Object.keys(tables))
      expect([program, unknown(program, names)]).toEqual([program, []]);
  });

  test('its ports are those its programs listen on by its own settings', () => {
    for (const { program, text } of containers) {
      const port = /containerPort: (\{\{.*?\}\})/.exec(text)?.[1];
      if (port !== undefined) expect([program, text.includes(`:${port}`)]).toEqual([program, true]);
    }
    const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as {
      readonly forwarder: { readonly vxlanPort: number };
    };
    expect(String(values.forwarder.vxlanPort)).toBe(forwarderSettings.NSM_VXLAN_PORT.fallback);
  });

  test('its version and that of its images is the one of package.json', () => {
    const of = (file: string) => readFileSync(join(chart, file), 'utf8');
    const root = join(import.meta.dirname, '../../package.json');
    const { version } = JSON.parse(readFileSync(root, 'utf8')) as { version: string };
    expect(parse(of('Chart.yaml'))).toMatchObject({ version, appVersion: version });
  });
});
