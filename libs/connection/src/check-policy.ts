import { parseAddress, parsePrefix, type Prefix } from '@nsm/ip';
import type { PolicyRoute } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';

/** The kernel takes ports up to here in a rule (fib_rule_port_range_valid). */
const MAX_PORT = 65_534;
const MAX_PROTOCOL = 255;

/**
 * Checks one policy route (contract 1.4, 5.4). `at` is what it is called in errors, `names` what its ports are called there.
 * @throws NsmError invalid-argument that names the field
 */
export function checkPolicy(
  at: string,
  { from, proto, dstPort, srcPort, routes }: PolicyRoute,
  names: { readonly dstPort: string; readonly srcPort: string; readonly nextHop: string },
): void {
  const source = from === '' ? undefined : prefix(`${at}.from`, from);
  if (!/^\d{0,3}$/.test(proto) || Number(proto) > MAX_PROTOCOL)
    throw invalid(
      `${at}.proto`,
      `${quote(proto)} is not an IP protocol number: write 6 for TCP, 17 for UDP`,
    );
  ports(`${at}.${names.dstPort}`, dstPort);
  ports(`${at}.${names.srcPort}`, srcPort);
  routes.forEach((route, i) => {
    const to = prefix(`${at}.routes[${i}].prefix`, route.prefix);
    const via = route.nextHop === '' ? undefined : hop(`${at}.routes[${i}]`, names, route.nextHop);
    if ([source, via].some((other) => other !== undefined && other.family !== to.family))
      throw invalid(
        `${at}.routes[${i}]`,
        `${route.prefix} is of another family than its next hop or the policy's source`,
      );
  });
}

/** `n` or `start-end` */
function ports(field: string, text: string): void {
  if (text === '') return;
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined)
    throw invalid(field, `port range should be in format start-end: ${quote(text)}`);
  if (Number(first) < 1 || Number(last) > MAX_PORT || Number(first) > Number(last))
    throw invalid(
      field,
      `${quote(text)} is no range of ports: it has to rise, from 1 to ${MAX_PORT} at most`,
    );
}

function prefix(field: string, text: string): Prefix {
  try {
    return parsePrefix(text);
  } catch {
    throw invalid(field, `${quote(text)} is not address/length`);
  }
}

function hop(
  at: string,
  { nextHop }: { readonly nextHop: string },
  text: string,
): ReturnType<typeof parseAddress> {
  try {
    return parseAddress(text);
  } catch {
    throw invalid(`${at}.${nextHop}`, `${quote(text)} is not an IP address`);
  }
}

const quote = (value: string): string =>
  JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);

const invalid = (field: string, problem: string): NsmError =>
  new NsmError('invalid-argument', `${field}: ${problem}`);
