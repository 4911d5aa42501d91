import { parseAddress, parsePrefix, type Prefix } from '@nsm/ip';
import type { Connection, IPContext, Mechanism, PathSegment } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { checkPolicy } from './check-policy.ts';
import { MAX_INTERFACE_NAME } from './interface-name.ts';
import { INTERFACE_NAME, KERNEL, NETNS_URL } from './mechanism.ts';
import { pathOf } from './path.ts';

/** What a request may be made of. Far beyond anything in use, and small enough to be handled at once. */
const limits = {
  preferences: 32,
  listItems: 1_024,
  mapEntries: 256,
  mapBytes: 64 * 1_024,
  textBytes: 4_096,
  tokenBytes: 32 * 1_024,
  nameBytes: 253,
} as const;

/** What a policy's fields are called in errors. */
const POLICY_NAMES = { dstPort: 'dst_port', srcPort: 'src_port', nextHop: 'nextHop' } as const;

/**
 * Checks a request field by field. Throws an invalid-argument that names the first field at fault; exhausted where the path has more
 * than `maxPath` segments.
 */
export function checkRequest(
  connection: Connection,
  preferences: readonly Mechanism[],
  maxPath: number,
): void {
  count('mechanism_preferences', preferences.length, limits.preferences);
  checkConnection(connection, maxPath);
  if (connection.networkService === '')
    throw invalid('connection.network_service', 'is empty: name the service to connect to');
  preferences.forEach((mechanism, i) => checkMechanism(`mechanism_preferences[${i}]`, mechanism));
}

/** Checks a connection likewise, as a close brings it: which one it is is all that has to be there. */
export function checkConnection(connection: Connection, maxPath: number): void {
  const { pathSegments, index } = pathOf(connection);
  if (pathSegments.length > maxPath)
    throw new NsmError(
      'exhausted',
      `connection.path.path_segments: ${pathSegments.length} segments; at most ${maxPath} are taken`,
      { limit: 'path' },
    );
  text('connection.id', connection.id, limits.nameBytes);
  text('connection.network_service', connection.networkService, limits.nameBytes);
  text(
    'connection.network_service_endpoint_name',
    connection.networkServiceEndpointName,
    limits.nameBytes,
  );
  if (!['', 'IP', 'ETHERNET'].includes(connection.payload))
    throw invalid('connection.payload', `${quote(connection.payload)} is neither IP nor ETHERNET`);
  if (pathSegments.length > 0 && index >= pathSegments.length)
    throw invalid(
      'connection.path.index',
      `Path.Index+1==${index + 1} should be less or equal len(Path.PathSegments)==${pathSegments.length}`,
    );
  pathSegments.forEach((segment, i) =>
    checkSegment(`connection.path.path_segments[${i}]`, segment),
  );
  map('connection.labels', connection.labels);
  if (connection.mechanism) checkMechanism('connection.mechanism', connection.mechanism);
  if (connection.context) checkContext(connection.context);
}

function checkSegment(at: string, { name, id, token, metrics }: PathSegment): void {
  text(`${at}.name`, name, limits.nameBytes);
  text(`${at}.id`, id, limits.nameBytes);
  text(`${at}.token`, token, limits.tokenBytes);
  map(`${at}.metrics`, metrics);
}

function checkMechanism(at: string, { cls, type, parameters }: Mechanism): void {
  text(`${at}.cls`, cls, limits.nameBytes);
  text(`${at}.type`, type, limits.nameBytes);
  map(`${at}.parameters`, parameters);
  if (type !== KERNEL) return;
  const name = parameters[INTERFACE_NAME] ?? '';
  if (Buffer.byteLength(name) > MAX_INTERFACE_NAME)
    throw invalid(
      `${at}.parameters["name"]`,
      `${quote(name)} has ${Buffer.byteLength(name)} bytes; an interface name has at most ${MAX_INTERFACE_NAME}`,
    );
  if (/[/\s:]|^\.{1,2}$/.test(name))
    throw invalid(`${at}.parameters["name"]`, `${quote(name)} is not an interface name`);
  const netns = parameters[NETNS_URL] ?? '';
  if (
    netns !== '' &&
    !/^inode:\/\/\d{1,20}\/\d{1,20}$/.test(netns) &&
    !netns.startsWith('file:///')
  )
    throw invalid(
      `${at}.parameters["inodeURL"]`,
      `${quote(netns)} is not inode://<device>/<inode>`,
    );
}

function checkContext(context: NonNullable<Connection['context']>): void {
  const at = 'connection.context';
  map(`${at}.extra_context`, context.extraContext);
  if (context.MTU !== 0 && (context.MTU < 68 || context.MTU > 65_535))
    throw invalid(`${at}.MTU`, `${context.MTU} is not between 68 and 65535`);
  const { srcMac = '', dstMac = '' } = context.ethernetContext ?? {};
  if (srcMac !== '') mac(`${at}.ethernet_context.src_mac`, srcMac);
  if (dstMac !== '') mac(`${at}.ethernet_context.dst_mac`, dstMac);
  const configs = context.dnsContext?.configs ?? [];
  count(`${at}.dns_context.configs`, configs.length, limits.listItems);
  configs.forEach(({ dnsServerIps, searchDomains }, i) => {
    texts(`${at}.dns_context.configs[${i}].dns_server_ips`, dnsServerIps);
    texts(`${at}.dns_context.configs[${i}].search_domains`, searchDomains);
  });
  if (context.ipContext) checkIpContext(`${at}.ip_context`, context.ipContext);
}

function checkIpContext(at: string, ip: IPContext): void {
  const sources = prefixes(`${at}.src_ip_addrs`, ip.srcIpAddrs);
  const destinations = prefixes(`${at}.dst_ip_addrs`, ip.dstIpAddrs);
  prefixes(`${at}.excluded_prefixes`, ip.excludedPrefixes);
  for (const [i, source] of sources.entries())
    if (
      destinations.some(({ family, value }) => family === source.family && value === source.value)
    )
      throw invalid(
        `${at}.src_ip_addrs[${i}]`,
        `${quote(ip.srcIpAddrs[i] ?? '')} is also in dst_ip_addrs: the two ends need addresses of their own`,
      );
  for (const [name, routes] of [
    ['src_routes', ip.srcRoutes],
    ['dst_routes', ip.dstRoutes],
  ] as const) {
    prefixes(
      `${at}.${name}`,
      routes.map(({ prefix }) => prefix),
    );
    routes.forEach(
      ({ nextHop }, i) => nextHop === '' || address(`${at}.${name}[${i}].nextHop`, nextHop),
    );
    conflicting(`${at}.${name}`, routes);
  }
  count(`${at}.ip_neighbors`, ip.ipNeighbors.length, limits.listItems);
  ip.ipNeighbors.forEach((neighbor, i) => {
    address(`${at}.ip_neighbors[${i}].ip`, neighbor.ip);
    mac(`${at}.ip_neighbors[${i}].hardware_address`, neighbor.hardwareAddress);
  });
  count(`${at}.policies`, ip.policies.length, limits.listItems);
  ip.policies.forEach((policy, i) => {
    count(`${at}.policies[${i}].routes`, policy.routes.length, limits.listItems);
    checkPolicy(`${at}.policies[${i}]`, policy, POLICY_NAMES);
  });
  texts(`${at}.extra_prefixes`, ip.extraPrefixes);
}

/** The same destination by two next hops cannot both be programmed. */
function conflicting(at: string, routes: IPContext['srcRoutes']): void {
  const hops = new Map<string, string>();
  routes.forEach(({ prefix, nextHop }, i) => {
    const other = hops.get(prefix);
    if (other !== undefined && other !== nextHop)
      throw invalid(
        `${at}[${i}]`,
        `${prefix} overlaps another route of the list to the same prefix with another next hop`,
      );
    hops.set(prefix, nextHop);
  });
}

const quote = (value: string): string =>
  JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);

const invalid = (field: string, problem: string): NsmError =>
  new NsmError('invalid-argument', `${field}: ${problem}`);

function count(field: string, n: number, max: number): void {
  if (n > max) throw invalid(field, `${n} entries; at most ${max} are taken`);
}

function text(field: string, value: string, max: number): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > max) throw invalid(field, `${bytes} bytes; at most ${max} are taken`);
  if (value.includes('\0')) throw invalid(field, 'contains a NUL character');
  if (/(^|\/)\.\.(\/|$)/.test(value)) throw invalid(field, `${quote(value)} contains "../"`);
}

function texts(field: string, values: readonly string[]): void {
  count(field, values.length, limits.listItems);
  values.forEach((value, i) => text(`${field}[${i}]`, value, limits.textBytes));
}

function map(field: string, values: Readonly<Record<string, string>>): void {
  const entries = Object.entries(values);
  count(field, entries.length, limits.mapEntries);
  let bytes = 0;
  for (const [key, value] of entries) {
    text(`${field} key ${quote(key)}`, key, limits.textBytes);
    text(`${field}[${quote(key)}]`, value, limits.textBytes);
    bytes += key.length + value.length;
  }
  if (bytes > limits.mapBytes)
    throw invalid(field, `${bytes} bytes in all; at most ${limits.mapBytes} are taken`);
}

function prefixes(field: string, values: readonly string[]): Prefix[] {
  count(field, values.length, limits.listItems);
  return values.map((value, i) => {
    try {
      return parsePrefix(value);
    } catch {
      throw invalid(`${field}[${i}]`, `${quote(value)} is not address/length`);
    }
  });
}

function address(field: string, value: string): void {
  try {
    parseAddress(value);
  } catch {
    throw invalid(field, `${quote(value)} is not an IP address`);
  }
}

function mac(field: string, value: string): void {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(value))
    throw invalid(field, `${quote(value)} is not a MAC address`);
}
