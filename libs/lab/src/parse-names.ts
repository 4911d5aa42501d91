import { parsePrefix, type Prefix } from '@nsm/ip';
import type { Payload } from './topology.ts';
import type { Place, YamlReader } from './yaml-reader.ts';

/** What fields of a topology may refer to, and the names that are taken so far. */
export interface Scope {
  readonly nodes: readonly string[];
  readonly services: ReadonlyMap<string, Payload>;
  readonly underlay: Prefix;
  readonly taken: Map<string, string>;
}

/** Names become parts of namespaces and of socket paths, which hold 107 bytes altogether. */
const MAX_NAME = 24;

/** Why a name is none; undefined when it is fine. */
export function nameFault(name: string): string | undefined {
  if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name) && name.length <= MAX_NAME) return undefined;
  return `"${name}" is no name here: use up to ${MAX_NAME} of a-z, 0-9 and "-", not starting or ending with "-"`;
}

/**
 * Nodes, endpoints, clients and processes share one space of names, since these become namespaces, sockets and log files.
 * Takes `name` for `owner`.
 */
export function takeName(
  yaml: YamlReader,
  place: Place,
  name: string,
  taken: Map<string, string>,
  owner = place.path,
): void {
  const fault = nameFault(name);
  if (fault !== undefined && owner === place.path) yaml.fault(place, fault, 'key');
  const other = taken.get(name);
  if (other !== undefined)
    yaml.fault(place, `"${name}" is taken by ${other}; names are unique in a lab`, 'key');
  taken.set(name, owner);
}

/** A text that is one of `choices`; anything else is a fault. */
export function choiceOf<C extends string>(
  yaml: YamlReader,
  place: Place,
  choices: readonly C[],
): C | undefined {
  const text = yaml.text(place);
  const found = choices.find((choice) => choice === text);
  if (text !== undefined && found === undefined)
    yaml.fault(place, `"${text}" is not one of ${choices.join(', ')}`);
  return found;
}

/** A text that names one of `known`, which are `kind`s. A required field; "" after a fault. */
export function referenceOf(
  yaml: YamlReader,
  place: Place,
  kind: string,
  known: readonly string[],
): string {
  const text = yaml.text(place);
  const list = known.length === 0 ? `there are no ${kind}s` : `${kind}s are ${known.join(', ')}`;
  if (text === undefined && place.node === undefined)
    yaml.fault(place, `it is missing; it names a ${kind}: ${list}`);
  if (text !== undefined && !known.includes(text))
    yaml.fault(place, `no ${kind} is called "${text}"; ${list}`);
  return text ?? '';
}

/** A network's prefix; anything else, host bits too, is a fault. */
export function prefixOf(yaml: YamlReader, place: Place): Prefix | undefined {
  const text = yaml.text(place);
  if (text === undefined) return undefined;
  try {
    return parsePrefix(text);
  } catch {
    yaml.fault(place, `"${text}" is not a prefix like 10.0.1.0/24 or fd00:1::/64`);
    return undefined;
  }
}
