import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { RegistryElement } from '../call.ts';

/** Bytes of a name, label or id: a DNS name of 253 characters of up to four bytes each. */
const MAX_TEXT = 253 * 4;
const MAX_URL = 4_096;
/** Members of any one list or map. */
const MAX_MEMBERS = 1_024;
/** Labels of one record, all services or matches together. */
const MAX_LABELS = 4_096;

/** Refuses a service whose fields cannot be meant (`invalid-argument`, naming the field; contract 6.3). */
export const checkService = (): RegistryElement<NetworkService> => ({
  name: 'check-entry',
  run: (call, next) => {
    const { name, payload, matches, pathIds } = call.entry;
    if (name === '')
      throw new NsmError(
        'invalid-argument',
        'registry.NetworkService.Name must not be zero valued',
        { hint: 'set name: services are found by it' },
      );
    const check = fields('NetworkService');
    check.text('name', name);
    if (call.op === 'unregister') return next(call);
    check.text('payload', payload);
    check.texts('path_ids', pathIds);
    check.members('matches', matches.length);
    for (const [i, { sourceSelector, routes, metadata }] of matches.entries()) {
      check.labels(`matches[${i}].source_selector`, sourceSelector);
      check.labels(`matches[${i}].metadata.labels`, metadata?.labels ?? {});
      check.members(`matches[${i}].routes`, routes.length);
      for (const [j, { destinationSelector }] of routes.entries())
        check.labels(`matches[${i}].routes[${j}].destination_selector`, destinationSelector);
    }
    return next(call);
  },
});

/** Refuses an endpoint whose fields cannot be meant (`invalid-argument`, naming the field; contract 6.3). */
export const checkEndpoint = (): RegistryElement<NetworkServiceEndpoint> => ({
  name: 'check-entry',
  run: (call, next) => {
    const { name, networkServiceNames, networkServiceLabels, url, pathIds } = call.entry;
    if (name === '')
      throw new NsmError('invalid-argument', 'NetworkServiceEndpoint.Name can not be zero valued', {
        hint: 'set name: it has to be unique in the registry',
      });
    const check = fields('NetworkServiceEndpoint');
    check.text('name', name);
    if (call.op === 'unregister') return next(call);
    check.text('url', url, MAX_URL);
    check.texts('network_service_names', networkServiceNames);
    check.texts('path_ids', pathIds);
    const byService = Object.entries(networkServiceLabels);
    check.members('network_service_labels', byService.length);
    for (const [service, { labels }] of byService) {
      check.text('network_service_labels', service);
      check.labels(`network_service_labels[${JSON.stringify(service)}]`, labels);
    }
    return next(call);
  },
});

/** Checks that know the record they are made on, and count its labels. */
function fields(noun: string): {
  text(field: string, value: string, max?: number): void;
  texts(field: string, values: readonly string[]): void;
  members(field: string, count: number): void;
  labels(field: string, labels: Readonly<Record<string, string>>): void;
} {
  let labelCount = 0;
  const refuse = (field: string, why: string): never => {
    throw new NsmError('invalid-argument', `${noun}.${field} ${why}`);
  };
  const text = (field: string, value: string, max = MAX_TEXT): void => {
    if (value.includes('\0')) refuse(field, 'holds a NUL character');
    if (Buffer.byteLength(value) > max) refuse(field, `is longer than ${max} bytes`);
  };
  const members = (field: string, count: number): void => {
    if (count > MAX_MEMBERS) refuse(field, `has more than ${MAX_MEMBERS} members`);
  };
  return {
    text,
    members,
    texts: (field, values) => {
      members(field, values.length);
      for (const value of values) text(field, value);
    },
    labels: (field, labels) => {
      const pairs = Object.entries(labels);
      members(field, pairs.length);
      labelCount += pairs.length;
      if (labelCount > MAX_LABELS) refuse(field, `brings the record over ${MAX_LABELS} labels`);
      for (const [key, value] of pairs) {
        text(field, key);
        text(field, value);
      }
    },
  };
}
