import type { LabWire } from '@nsm/lab';
import type { Match, NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { bare } from './report.ts';
import { type Column, green, red } from './table.ts';

/** Columns that are always shown, and those of the wide table. */
interface Columns<T> {
  readonly table: readonly Column<T>[];
  readonly wide: readonly Column<T>[];
}

export const serviceColumns: Columns<NetworkService> = {
  table: [
    { title: 'NAME', cell: ({ name }) => name },
    { title: 'PAYLOAD', cell: ({ payload }) => payload },
    { title: 'MATCHES', cell: ({ matches }) => String(matches.length), align: 'right' },
  ],
  wide: [
    { title: 'RULES', cell: ({ matches }) => (matches.length === 0 ? '-' : matches.map(ruleText)) },
  ],
};

/** The stable form of a service; see `nsm get --help`. */
export const serviceJson = ({ name, payload, matches }: NetworkService): object => ({
  name,
  payload,
  matches: matches.map(({ sourceSelector, routes, fallthrough, metadata }) => ({
    sourceSelector,
    routes: routes.map(({ destinationSelector, weight }) => ({ destinationSelector, weight })),
    fallthrough,
    metadata: metadata === undefined ? null : { labels: metadata.labels },
  })),
});

export const endpointColumns: Columns<NetworkServiceEndpoint> = {
  table: [
    { title: 'NAME', cell: ({ name }) => name },
    { title: 'SERVICES', cell: ({ networkServiceNames }) => networkServiceNames.join(', ') },
    { title: 'URL', cell: ({ url }) => url },
    { title: 'EXPIRES IN', cell: (endpoint) => remaining(endpoint), align: 'right' },
  ],
  wide: [
    {
      title: 'LABELS',
      cell: ({ networkServiceLabels }) =>
        Object.entries(networkServiceLabels).map(
          ([service, { labels }]) => `${service}: ${labelText(labels) || '-'}`,
        ),
    },
    { title: 'REGISTERED', cell: (endpoint) => registered(endpoint) ?? '-' },
  ],
};

/** The stable form of an endpoint; see `nsm get --help`. */
export const endpointJson = (endpoint: NetworkServiceEndpoint): object => ({
  name: endpoint.name,
  services: endpoint.networkServiceNames,
  labels: Object.fromEntries(
    Object.entries(endpoint.networkServiceLabels).map(([service, { labels }]) => [service, labels]),
  ),
  url: endpoint.url,
  expires: iso(endpoint.expirationTime),
  registered: registered(endpoint),
});

/** Two counters of a wire's client; `-` where nobody has counted. */
const trafficText =
  (pick: (traffic: NonNullable<LabWire['traffic']>) => readonly number[]) =>
  ({ traffic }: LabWire): string =>
    traffic === null ? '-' : pick(traffic).join('/');

export const wireColumns: Columns<LabWire> = {
  table: [
    { title: 'CLIENT', cell: ({ client }) => client },
    { title: 'SERVICE', cell: ({ service }) => service },
    { title: 'ENDPOINT', cell: ({ endpoint }) => endpoint },
    { title: 'MECHANISM', cell: ({ mechanism }) => mechanism || '-' },
    { title: 'INTERFACE', cell: (wire) => wire.interface || '-' },
    { title: 'CLIENT ADDRESS', cell: ({ clientAddresses }) => clientAddresses.map(bare) },
    { title: 'ENDPOINT ADDRESS', cell: ({ endpointAddresses }) => endpointAddresses.map(bare) },
    {
      title: 'STATE',
      cell: ({ state }) => state,
      paint: (text, { state }) => (state === 'up' ? green(text) : red(text)),
    },
  ],
  wide: [
    { title: 'CONNECTION', cell: ({ connection }) => connection },
    { title: 'PAYLOAD', cell: ({ payload }) => payload },
    { title: 'MTU', cell: ({ mtu }) => (mtu === 0 ? '-' : String(mtu)), align: 'right' },
    { title: 'SET-UP MS', cell: ({ setupMs }) => setupMs?.toFixed(1) ?? '-', align: 'right' },
    { title: 'RX/TX BYTES', cell: trafficText(({ rxBytes, txBytes }) => [rxBytes, txBytes]) },
    {
      title: 'RX/TX PACKETS',
      cell: trafficText(({ rxPackets, txPackets }) => [rxPackets, txPackets]),
    },
    { title: 'ERRORS/DROPS', cell: trafficText(({ errors, drops }) => [errors, drops]) },
    { title: 'PATH', cell: ({ path }) => path.join(' → ') },
  ],
};

/** The stable form of a wire; see `nsm get --help`. */
export const wireJson = (wire: LabWire): object => ({ ...wire, setupMs: wire.setupMs ?? null });

const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** A match as one line: `app=web → color=red (3), color=blue; else next`. */
function ruleText({ sourceSelector, routes, fallthrough }: Match): string {
  const to = routes.map(({ destinationSelector, weight }) => {
    const labels = labelText(destinationSelector) || 'any';
    return weight === 0 ? labels : `${labels} (${weight})`;
  });
  const rule = `${labelText(sourceSelector) || 'any'} → ${to.join(', ') || 'any'}`;
  return fallthrough ? `${rule}; else next` : rule;
}

const iso = (time: { seconds: number; nanos: number } | undefined): string | null =>
  time === undefined ? null : new Date(time.seconds * 1_000 + time.nanos / 1e6).toISOString();

const registered = ({ initialRegistrationTime }: NetworkServiceEndpoint): string | null =>
  iso(initialRegistrationTime);

function remaining({ expirationTime }: NetworkServiceEndpoint): string {
  if (expirationTime === undefined) return 'never';
  const seconds = Math.round(expirationTime.seconds - Date.now() / 1_000);
  return seconds < 0 ? 'expired' : `${seconds} s`;
}
