import { checkPolicy } from '@nsm/connection';
import type { PolicyRoute } from '@nsm/proto';
import { followFile, type FollowedFile } from '@nsm/service';
import { parse } from 'yaml';

/** Upstream's field names in the file (contract 1.7), with those of the message. */
const FIELDS = { from: 'from', proto: 'proto', dstport: 'dstPort', srcport: 'srcPort' } as const;
const ROUTE_FIELDS = { prefix: 'prefix', nexthop: 'nextHop' } as const;
const NAMES = { dstPort: 'dstport', srcPort: 'srcport', nextHop: 'nexthop' } as const;

/** Follows a YAML file with a list of policy routes (contract 1.7, 7.6). A missing file has none. */
export const followPoliciesFile = (
  path: string,
  onFault: (fault: string) => void,
  onChange?: () => void,
): Promise<FollowedFile<readonly PolicyRoute[]>> =>
  followFile<readonly PolicyRoute[]>(path, { absent: [], parse: parsePolicies, onFault, onChange });

/** @throws Error, NsmError that names the field at fault */
export function parsePolicies(text: string): PolicyRoute[] {
  const document: unknown = parse(text) ?? [];
  return items('the file', document).map((item, i) => {
    const at = `[${i}]`;
    const { routes, ...rest } = record(at, item);
    const policy: PolicyRoute = {
      ...texts(at, rest, FIELDS),
      routes: items(`${at}.routes`, routes ?? []).map((route, j) =>
        texts(`${at}.routes[${j}]`, record(`${at}.routes[${j}]`, route), ROUTE_FIELDS),
      ),
    };
    checkPolicy(at, policy, NAMES);
    return policy;
  });
}

function items(at: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${at} is not a list`);
  return value;
}

function record(at: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${at} is not a map`);
  return value as Record<string, unknown>;
}

/** The fields as text, as numbers need no quotes in YAML; what is left out is empty. A field that is none is a policy for other packets. */
function texts<K extends string>(
  at: string,
  given: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, K>>,
): Record<K, string> {
  const found = Object.fromEntries(Object.values(fields).map((name) => [name, '']));
  for (const [key, value] of Object.entries(given)) {
    const name = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (name === undefined)
      throw new Error(
        `${at}.${key}: there is no such field; allowed are ${Object.keys(fields).join(', ')}`,
      );
    if (typeof value !== 'string' && typeof value !== 'number' && value !== null)
      throw new Error(`${at}.${key} is neither text nor a number`);
    found[name] = value === null ? '' : String(value);
  }
  return found as Record<K, string>;
}
