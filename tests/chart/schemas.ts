import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [key: string]: unknown;
}
interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** What Kubernetes has had since 1.29 and an older description lacks: init containers that stay (sidecars). */
const NEWER: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  'io.k8s.api.core.v1.Container': { restartPolicy: { type: 'string' } },
};

/**
 * Writes what the API server says of its kinds (OpenAPI 2) as a JSON Schema per kind, as kubeconform looks for them:
 * `<kind>-<group>-<version>.json`. Unknown fields are refused.
 * @returns the pattern of their location
 */
export function writeSchemas(swagger: string, folder: string): string {
  const { definitions } = JSON.parse(readFileSync(swagger, 'utf8')) as {
    readonly definitions: Readonly<Record<string, Schema>>;
  };
  mkdirSync(folder, { recursive: true });
  const strict = Object.fromEntries(
    Object.entries(definitions).map(([name, schema]) => [name, closed(name, schema)]),
  );
  writeFileSync(join(folder, 'definitions.json'), JSON.stringify({ definitions: strict }));
  for (const [name, schema] of Object.entries(definitions))
    for (const { group, version, kind } of (schema['x-kubernetes-group-version-kind'] ??
      []) as readonly Kind[]) {
      const file = [
        kind.toLowerCase(),
        ...(group === '' ? [] : [group.split('.')[0]]),
        version,
      ].join('-');
      const reference = { $ref: `definitions.json#/definitions/${name}` };
      writeFileSync(join(folder, `${file}.json`), JSON.stringify(reference));
    }
  return join(folder, '{{.ResourceKind}}{{.KindSuffix}}.json');
}

function closed(name: string, schema: Schema): Schema {
  if (name.endsWith('.IntOrString')) return { oneOf: [{ type: 'string' }, { type: 'integer' }] };
  // A number as Kubernetes writes it is a quantity too.
  if (name.endsWith('.Quantity')) return { type: ['string', 'number'] };
  if (schema.properties === undefined) return schema;
  const properties = { ...schema.properties, ...NEWER[name] };
  return { ...schema, properties, additionalProperties: false };
}
