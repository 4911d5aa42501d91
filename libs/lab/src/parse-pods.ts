import { formatPrefix, network, overlaps, type Prefix } from '@nsm/ip';
import type { Match } from '@nsm/proto';
import { choiceOf, prefixOf, referenceOf, type Scope, takeName } from './parse-names.ts';
import { parseRequestUrl, type RequestUrl } from '@nsm/connection';
import type { ClientSpec, EndpointSpec } from './topology.ts';
import type { Place, YamlReader } from './yaml-reader.ts';

/** Reads one entry of `endpoints`. */
export function readEndpoint(
  yaml: YamlReader,
  name: string,
  place: Place,
  scope: Scope,
): EndpointSpec {
  takeName(yaml, place, name, scope.taken);
  const field = yaml.fields(place, ['node', 'services', 'payload', 'prefixes', 'labels', 'env']);
  const known = [...scope.services.keys()];
  const places = yaml.items(field.services);
  const services = places.map((item) => referenceOf(yaml, item, 'service', known));
  if (places.length === 0)
    yaml.fault(field.services, 'it is missing: an endpoint offers at least one service');
  const payloads = new Set(services.flatMap((service) => scope.services.get(service) ?? []));
  const payload = choiceOf(yaml, field.payload, ['IP', 'ETHERNET']);
  if (payload === undefined && payloads.size > 1)
    yaml.fault(field.services, 'the services differ in payload; give this endpoint one of its own');
  return {
    name,
    node: referenceOf(yaml, field.node, 'node', scope.nodes),
    services,
    payload: payload ?? [...payloads][0] ?? 'IP',
    prefixes: readPrefixes(yaml, field.prefixes, scope.underlay),
    labels: yaml.labels(field.labels),
    env: yaml.labels(field.env),
  };
}

/** Reads one entry of `clients`. */
export function readClient(yaml: YamlReader, name: string, place: Place, scope: Scope): ClientSpec {
  takeName(yaml, place, name, scope.taken);
  const field = yaml.fields(place, ['node', 'services', 'labels', 'env']);
  const labels = yaml.labels(field.labels);
  const places = yaml.items(field.services);
  const interfaces = new Map<string, string>();
  const services = places.flatMap((item) => {
    const request = readRequest(yaml, item, scope);
    if (request === undefined) return [];
    const other = interfaces.get(request.interface ?? '');
    if (request.interface !== undefined && other !== undefined)
      yaml.fault(item, `the interface "${request.interface}" is that of ${other} already`);
    interfaces.set(request.interface ?? '', item.path);
    return [{ ...request, labels: { ...labels, ...request.labels } }];
  });
  return {
    name,
    node: referenceOf(yaml, field.node, 'node', scope.nodes),
    services,
    labels,
    env: yaml.labels(field.env),
  };
}

function readRequest(yaml: YamlReader, place: Place, scope: Scope): RequestUrl | undefined {
  const text = yaml.text(place);
  if (text === undefined) return undefined;
  try {
    const request = parseRequestUrl(text);
    const known = [...scope.services.keys()].join(', ');
    // A service of another domain (service@domain) is declared there.
    if (!scope.services.has(request.service) && !request.service.includes('@'))
      yaml.fault(place, `no service is called "${request.service}"; services are ${known}`);
    return request;
  } catch (error) {
    yaml.fault(place, `"${text}": ${(error as Error).message}`);
    return undefined;
  }
}

/** A list of prefixes, each a group of its own or a list that is one group. */
function readPrefixes(yaml: YamlReader, place: Place, underlay: Prefix): string[][] {
  const seen: Prefix[] = [];
  const read = (item: Place): string[] => {
    const prefix = prefixOf(yaml, item);
    if (prefix === undefined) return [];
    const text = formatPrefix(prefix);
    const clean = formatPrefix(network(prefix));
    if (text !== clean) yaml.fault(item, `${text} has host bits set; the prefix is ${clean}`);
    const twin = seen.find((earlier) => overlaps(earlier, prefix));
    if (twin) yaml.fault(item, `${text} overlaps ${formatPrefix(twin)}`);
    if (overlaps(underlay, prefix))
      yaml.fault(item, `${text} overlaps the underlay ${formatPrefix(underlay)}; move one of them`);
    seen.push(prefix);
    return [clean];
  };
  return yaml.items(place).map((item) => {
    const group = yaml.isList(item) ? yaml.items(item) : [item];
    return group.flatMap(read);
  });
}

/** Reads the `matches` of a service, in the field names of registry.proto. */
export const readMatches = (yaml: YamlReader, place: Place): Match[] =>
  yaml.items(place).map((item) => {
    const field = yaml.fields(item, ['source_selector', 'routes', 'fallthrough', 'metadata']);
    const metadata = yaml.fields(field.metadata, ['labels']);
    return {
      sourceSelector: yaml.labels(field.source_selector),
      routes: yaml.items(field.routes).map((route) => {
        const { destination_selector, weight } = yaml.fields(route, [
          'destination_selector',
          'weight',
        ]);
        return {
          destinationSelector: yaml.labels(destination_selector),
          weight: yaml.integer(weight) ?? 0,
        };
      }),
      fallthrough: yaml.flag(field.fallthrough) ?? false,
      metadata:
        field.metadata.node === undefined ? undefined : { labels: yaml.labels(metadata.labels) },
    };
  });
