import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readSettings } from '@nsm/service';
import { parse, parseAllDocuments } from 'yaml';
import { programs, unknownSettings } from './programs.ts';

const root = join(import.meta.dirname, '../..');
const golden = join(root, 'tests/chart/golden');

interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly (Variable & { readonly name: string })[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: {
    readonly runAsNonRoot?: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
    readonly privileged?: boolean;
  };
  readonly startupProbe?: object;
  readonly livenessProbe?: object;
  readonly readinessProbe?: object;
  readonly resources?: { readonly requests?: object; readonly limits?: object };
  readonly volumeMounts?: readonly { readonly name: string }[];
}
interface PodSpec {
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly { readonly name: string }[];
}
interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
}

interface Variable {
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

/** What the API server fills in for a field of the pod. */
const fields: Readonly<Record<string, string>> = {
  'metadata.name': 'filled-in',
  'spec.nodeName': 'filled-in',
  'status.hostIP': '192.0.2.1',
};

/** A program writes $(NAME) for another variable, and the API server fills in what a field says. */
const valueOf = ({ value, valueFrom }: Variable): string =>
  (value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? '').replaceAll(
    /\$\(\w+\)/g,
    'filled-in',
  );

describe.each(readdirSync(golden))('the Helm chart as %s', (file) => {
  const objects = parseAllDocuments(readFileSync(join(golden, file), 'utf8')).map(
    (document) => document.toJS() as KubernetesObject,
  );
  const workloads = objects.flatMap(({ metadata, spec }) =>
    spec.template ? [{ name: metadata.name, ...spec.template, selector: spec.selector }] : [],
  );
  const containers = workloads.flatMap(({ name: workload, spec }) =>
    [...(spec.initContainers ?? []), ...spec.containers].map((container) => ({
      workload,
      name: container.name,
      container,
    })),
  );
  const deployed = containers.filter(({ name }) => name in programs);

  test('has the programs of a mesh', () => {
    const names = new Set(deployed.map(({ name }) => name));
    for (const name of ['registry', 'nsmgr', 'forwarder']) expect(names).toContain(name);
  });

  test.each(deployed)(
    '$name of $workload is given only settings it reads, and valid ones',
    ({ name, container }) => {
      const env = container.env ?? [];
      expect(
        unknownSettings(
          name,
          env.map((variable) => variable.name),
        ),
      ).toEqual([]);
      const given = Object.fromEntries(env.map((variable) => [variable.name, valueOf(variable)]));
      expect(() => readSettings(programs[name]!, given)).not.toThrow();
    },
  );

  test.each(deployed)('$name of $workload has the ports its settings say', ({ container }) => {
    const text = (container.env ?? []).map(valueOf).join(' ');
    const listening = [...text.matchAll(/tcp:\/\/(?:0\.0\.0\.0)?:(\d+)|(?<!\S):(\d+)/g)].map(
      ([, grpc, metrics]) => Number(grpc ?? metrics),
    );
    expect((container.ports ?? []).map(({ containerPort }) => containerPort).sort()).toEqual(
      listening.sort(),
    );
  });

  test.each(deployed)('$name of $workload has three probes and limits', ({ container }) => {
    expect(container).toMatchObject({
      startupProbe: {},
      livenessProbe: {},
      readinessProbe: {},
      resources: { requests: {}, limits: {} },
    });
  });

  test.each(containers)(
    '$name of $workload has no more rights than it needs',
    ({ name, container }) => {
      const { securityContext: context } = container;
      expect(context).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(context.privileged).toBeUndefined();
      expect(context.capabilities.add).toEqual(
        name === 'forwarder' ? ['NET_ADMIN', 'SYS_ADMIN', 'SYS_PTRACE'] : undefined,
      );
      expect(context.runAsNonRoot).toBe(
        ['forwarder', 'open-folder'].includes(name) ? undefined : true,
      );
    },
  );

  test.each(workloads)(
    '$name selects its own pods, and mounts volumes it has',
    ({ selector, metadata, spec }) => {
      expect(metadata.labels).toMatchObject(selector?.matchLabels ?? {});
      const volumes = (spec.volumes ?? []).map(({ name }) => name);
      const mounted = [...(spec.initContainers ?? []), ...spec.containers].flatMap(
        ({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name),
      );
      expect([...new Set(mounted)].sort()).toEqual(volumes.sort());
    },
  );
});

test('the port of tunnels is the one forwarders take by themselves', () => {
  const values = parse(readFileSync(join(root, 'charts/nsm/values.yaml'), 'utf8')) as {
    readonly forwarder: { readonly vxlanPort: number };
  };
  expect(String(values.forwarder.vxlanPort)).toBe(
    programs['forwarder']?.['NSM_VXLAN_PORT']?.fallback,
  );
});

test('its version and that of its images is the one of package.json', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const chart: unknown = parse(readFileSync(join(root, 'charts/nsm/Chart.yaml'), 'utf8'));
  expect(chart).toMatchObject({ version, appVersion: version });
});
