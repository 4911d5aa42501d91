import { formatAddress, formatPrefix, network, parseAddress, parsePrefix } from '@nsm/ip';
import { parseNetns } from '@nsm/netlink';
import { formatAlias, isTombstone } from './alias.ts';
import { type End, endsOf, type Plan, type PlannedPolicy, type Vlan, type Vxlan } from './plan.ts';
import { isPublicKey } from './wireguard/key.ts';

/** A plan cannot be made or carried out as asked. `field` names the value that is wrong, the message says what to do. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
  readonly field: string;

  constructor(field: string, problem: string, cause?: unknown) {
    super(`${field}: ${problem}`, cause === undefined ? undefined : { cause });
    this.field = field;
  }
}

const MAX_VNI = 0xffffff;
/** IEEE 802.1Q: 4095 is reserved. */
const MAX_TAG = 4094;
const ALIAS_BYTES = 255;
/** Their rules stand in a row, and there is room for so many (see policies.ts). */
const MAX_POLICIES = 2_048;
/** RFC 791: what every link has to carry. The kernel's limit for veth and vxlan is 65535. */
const MTU = { min: 68, max: 65535 } as const;

/** Checks a whole plan. @throws PlanError for the first field that is not as `Plan` describes it */
export function checkPlan(plan: Plan): void {
  if (plan.id === '' || hasControl(plan.id))
    throw new PlanError('id', `${quote(plan.id)} is not a connection id`);
  if (plan.owner !== undefined && hasControl(plan.owner))
    throw new PlanError('owner', `${quote(plan.owner)} has characters that cannot be shown`);
  const alias = formatAlias({ ...plan, side: 'endpoint' });
  if (Buffer.byteLength(alias) > ALIAS_BYTES)
    throw new PlanError(
      'id',
      `${quote(alias)} is longer than the ${ALIAS_BYTES} bytes of a link alias`,
    );
  const hasMac = plan.link.kind !== 'wireguard';
  for (const { side, end } of endsOf(plan)) checkEnd(side, end, hasMac);
  if (plan.link.kind === 'vxlan') {
    checkVni('vni', plan.link.vni);
    checkTunnel(plan.link);
    return;
  }
  if (plan.link.kind === 'vlan') {
    checkVlan(plan.link);
    return;
  }
  if (plan.link.kind === 'wireguard') {
    checkTunnel(plan.link);
    checkPort('remotePort', plan.link.remotePort);
    checkPublicKey('publicKey', plan.link.publicKey);
    checkPublicKey('peerKey', plan.link.peerKey);
    return;
  }
  const { client, endpoint } = plan.link;
  if (client.netns === endpoint.netns && client.name === endpoint.name)
    throw new PlanError(
      'endpoint.name',
      `both ends are in ${client.netns} and named ${client.name}: name one of them differently`,
    );
}

/** Checks an interface name as the kernel does (dev_valid_name), plus our own reservation. @throws PlanError */
function checkName(field: string, name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes < 1 || bytes > 15)
    throw new PlanError(field, `${quote(name)} has ${bytes} bytes: an interface name has 1 to 15`);
  if (name === '.' || name === '..' || /[\s/:\0]/.test(name) || hasControl(name))
    throw new PlanError(
      field,
      `${quote(name)} is not an interface name: leave out spaces, slashes and colons`,
    );
  if (isTombstone(name))
    throw new PlanError(field, `${quote(name)} is reserved for links that wait to be deleted`);
}

/** Checks a namespace reference. @throws PlanError */
function checkNetns(field: string, url: string): void {
  if (parseNetns(url) === undefined)
    throw new PlanError(
      field,
      `${quote(url)} is not a namespace reference inode://<dev>/<ino>: pass the namespace's descriptor over a unix socket`,
    );
}

/** Checks a VXLAN network identifier. @throws PlanError */
function checkVni(field: string, vni: number): void {
  if (!Number.isInteger(vni) || vni < 1 || vni > MAX_VNI)
    throw new PlanError(
      field,
      `${vni} is not a VXLAN network identifier: choose one of 1 to ${MAX_VNI}`,
    );
}

/** Checks an MTU. @throws PlanError */
export function checkMtu(field: string, mtu: number): void {
  if (!Number.isInteger(mtu) || mtu < MTU.min || mtu > MTU.max)
    throw new PlanError(field, `${mtu} is not an MTU: choose one of ${MTU.min} to ${MTU.max}`);
}

/** Checks a unicast link-layer address. @throws PlanError */
export function checkMac(field: string, mac: string): void {
  if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac) || mac === '00:00:00:00:00:00')
    throw new PlanError(field, `${quote(mac)} is not a unicast MAC address in lower case`);
}

function checkEnd(side: string, end: End, hasMac: boolean): void {
  checkNetns(`${side}.netns`, end.netns);
  checkName(`${side}.name`, end.name);
  if (hasMac) checkMac(`${side}.mac`, end.mac);
  if (end.mtu !== undefined) checkMtu(`${side}.mtu`, end.mtu);
  for (const address of end.addresses) canonical(`${side}.addresses`, address, prefixText);
  for (const route of end.routes) {
    canonical(`${side}.routes`, route.to, networkText);
    if (route.via !== undefined) canonical(`${side}.routes`, route.via, addressText);
  }
  for (const neighbour of end.neighbours) {
    canonical(`${side}.neighbours`, neighbour.to, addressText);
    checkMac(`${side}.neighbours`, neighbour.mac);
  }
  const { policies = [] } = end;
  if (policies.length > MAX_POLICIES)
    throw new PlanError(
      `${side}.policies`,
      `${policies.length} of them: a wire has at most ${MAX_POLICIES}`,
    );
  for (const policy of policies) checkPolicy(`${side}.policies`, policy);
}

function checkPolicy(field: string, { from, routes }: PlannedPolicy): void {
  if (from !== undefined) canonical(field, from, networkText);
  if (routes.length === 0)
    throw new PlanError(field, 'one has no routes: its packets would go nowhere');
  for (const { to, via } of routes) {
    canonical(field, to, networkText);
    if (via !== undefined) canonical(field, via, addressText);
  }
  const families = new Set(
    [from, ...routes.map(({ to }) => to)].map((text) => text?.includes(':')),
  );
  families.delete(undefined);
  if (families.size > 1) throw new PlanError(field, 'one has both families: make two of it');
}

function checkTunnel({ local, remote, port }: Pick<Vxlan, 'local' | 'remote' | 'port'>): void {
  canonical('local', local, addressText);
  canonical('remote', remote, addressText);
  if (parseAddress(local).family !== parseAddress(remote).family)
    throw new PlanError(
      'remote',
      `${remote} and ${local} are of different families: a tunnel has one`,
    );
  checkPort('port', port);
}

function checkPort(field: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new PlanError(field, `${port} is not a UDP port: choose one of 1 to 65535`);
}

function checkPublicKey(field: string, key: string): void {
  if (!isPublicKey(key))
    throw new PlanError(
      field,
      `${quote(key)} is not a public key: send the base64 of its 32 bytes`,
    );
}

function checkVlan({ end, tag, carrier }: Vlan): void {
  if (!Number.isInteger(tag) || tag < 0 || tag > MAX_TAG)
    throw new PlanError('tag', `${tag} is not a VLAN tag: choose one of 1 to ${MAX_TAG}, or 0`);
  if ('device' in carrier) {
    checkName('carrier.device', carrier.device);
    return;
  }
  checkNetns('carrier.netns', carrier.netns);
  checkName('carrier.name', carrier.name);
  if (tag === 0) throw new PlanError('tag', 'wires on one interface are told apart by their tags');
  if (carrier.netns === end.netns && carrier.name === end.name)
    throw new PlanError(
      'carrier.name',
      `both ends are in ${end.netns} and named ${end.name}: name one of them differently`,
    );
}

const prefixText = (text: string): string => formatPrefix(parsePrefix(text));
const networkText = (text: string): string => formatPrefix(network(parsePrefix(text)));
const addressText = (text: string): string => formatAddress(parseAddress(text));

function canonical(field: string, text: string, format: (text: string) => string): void {
  let wanted: string;
  try {
    wanted = format(text);
  } catch (error) {
    throw new PlanError(field, error instanceof Error ? error.message : String(error), error);
  }
  if (wanted !== text)
    throw new PlanError(field, `${quote(text)} is not canonical: write ${wanted}`);
}

const hasControl = (text: string): boolean => /\p{Cc}/u.test(text);
const quote = (text: string): string => JSON.stringify(text);
