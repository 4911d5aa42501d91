import { createConnection } from 'node:net';
import { constants } from 'node:os';
import { codeOf, DatapathError } from '../error.ts';
import type { Wireguard } from '../plan.ts';
import { keyPairOf, type KeyPair } from './key.ts';

/** A device answers from its memory; a process that is stopped would keep us waiting for ever. */
const ANSWER_MS = 5_000;
const KEEPALIVE_S = 10;

/** What a device says of itself. */
export interface DeviceState {
  readonly keys: KeyPair;
  readonly port: number;
  /** Public keys of its peers, and where they are: `address:port`, IPv6 in brackets. */
  readonly peers: readonly { readonly key: string; readonly endpoint: string }[];
}

/** Reads a device by its socket; undefined: there is no process behind it, or it has no key yet. @throws DatapathError */
export async function readDevice(socket: string): Promise<DeviceState | undefined> {
  const answer = await ask(socket, 'get=1\n\n');
  return answer === undefined ? undefined : parseDevice(answer);
}

/**
 * Makes a device what a plan wants (contract 4.5): its key and port, and one peer that may send anything.
 * @throws DatapathError EADDRINUSE: somebody else has the port
 */
export async function setDevice(
  socket: string,
  plan: Wireguard,
  keys: KeyPair,
  newPeer: boolean,
): Promise<void> {
  const answer = await ask(socket, formatDevice(plan, keys, newPeer));
  const errno = Math.abs(Number(/^errno=(-?\d+)$/m.exec(answer ?? '')?.[1] ?? 1));
  if (errno === 0) return;
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? 'EIO';
  throw refused(name, `listen-port ${plan.port} peer ${plan.peerKey}`, plan.port);
}

/** The text of a set operation (https://www.wireguard.com/xplatform/). It has the private key in it: never to be shown. */
export const formatDevice = (plan: Wireguard, keys: KeyPair, newPeer: boolean): string =>
  [
    'set=1',
    `private_key=${keys.privateKey}`,
    `listen_port=${plan.port}`,
    // A peer that stays keeps its session: nothing is lost.
    ...(newPeer ? ['replace_peers=true'] : []),
    `public_key=${Buffer.from(plan.peerKey, 'base64').toString('hex')}`,
    `endpoint=${endpointOf(plan)}`,
    `persistent_keepalive_interval=${KEEPALIVE_S}`,
    'replace_allowed_ips=true',
    'allowed_ip=0.0.0.0/0',
    'allowed_ip=::/0',
    '\n',
  ].join('\n');

/** Where a plan's peer listens, as a device writes it. */
export const endpointOf = ({ remote, remotePort }: Wireguard): string =>
  `${remote.includes(':') ? `[${remote}]` : remote}:${remotePort}`;

/** Reads the answer to a get operation; undefined when the device has no key. */
export function parseDevice(answer: string): DeviceState | undefined {
  let privateKey = '';
  let port = 0;
  const peers: { key: string; endpoint: string }[] = [];
  for (const line of answer.split('\n')) {
    const [key, value = ''] = line.split('=', 2);
    if (key === 'private_key') privateKey = value;
    if (key === 'listen_port') port = Number(value);
    if (key === 'public_key')
      peers.push({ key: Buffer.from(value, 'hex').toString('base64'), endpoint: '' });
    const peer = peers.at(-1);
    if (key === 'endpoint' && peer) peer.endpoint = value;
  }
  return /^[0-9a-f]{64}$/.test(privateKey) && !/^0+$/.test(privateKey)
    ? { keys: keyPairOf(privateKey), port, peers }
    : undefined;
}

/** One operation per connection: wireguard-go reads ahead while it sets, and loses what stands behind. */
async function ask(socket: string, operation: string): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  let answer = '';
  const connection = createConnection(socket, () => connection.write(operation));
  connection.setEncoding('utf8');
  connection.setTimeout(ANSWER_MS, () =>
    connection.destroy(
      Object.assign(new Error(`no answer in ${ANSWER_MS} ms`), { code: 'ETIMEDOUT' }),
    ),
  );
  connection.on('data', (part: string) => {
    answer += part;
    if (/^errno=-?\d+\n\n/m.test(answer)) connection.end(() => resolve(answer));
  });
  connection.on('error', (error) => {
    // ECONNREFUSED: its process was killed and could not tidy up.
    if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(codeOf(error)))
      resolve(undefined);
    else reject(refused(codeOf(error), `(socket ${socket})`, 0));
  });
  connection.on('close', () => resolve(undefined));
  return promise;
}

function refused(code: string, words: string, port: number): DatapathError {
  const operation = `wg set ${words}`;
  const detail = code === 'EADDRINUSE' ? `: UDP port ${port} of this node is in use` : '';
  return new DatapathError({ message: `${operation}: ${code}${detail}`, code, operation });
}
