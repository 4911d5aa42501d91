import { createConnection } from 'node:net';
import { constants } from 'node:os';
import { codeOf, DatapathError } from '../error.ts';
import { type DeviceSetting, type DeviceState, endpointOf, KEEPALIVE_S } from './device.ts';
import { keyPairOf, type KeyPair } from './key.ts';

/** A device answers from its memory; a process that is stopped would keep us waiting for ever. */
const ANSWER_MS = 5_000;

/**
 * Reads a device by its socket; undefined: there is no process behind it, or it has no key yet.
 * @param expected the keys it most probably has: the public one of others has to be computed
 * @throws DatapathError
 */
export async function readDevice(
  socket: string,
  expected?: KeyPair,
): Promise<DeviceState | undefined> {
  const answer = await ask(socket, 'get=1\n\n');
  return answer === undefined ? undefined : parseDevice(answer, expected);
}

/**
 * Makes a device what a plan wants.
 * @throws DatapathError EADDRINUSE: somebody else has the port
 */
export async function setDevice(socket: string, setting: DeviceSetting): Promise<void> {
  const answer = await ask(socket, formatDevice(setting));
  const errno = Math.abs(Number(/^errno=(-?\d+)$/m.exec(answer ?? '')?.[1] ?? 1));
  if (errno === 0) return;
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? 'EIO';
  const { port, peerKey } = setting.link;
  throw refused(name, `listen-port ${port} peer ${peerKey}`, port);
}

/** The text of a set operation (https://www.wireguard.com/xplatform/). It has the private key in it: never to be shown. */
export const formatDevice = ({ link, keys, newPeer }: DeviceSetting): string =>
  [
    'set=1',
    `private_key=${keys.privateKey}`,
    `listen_port=${link.port}`,
    ...(newPeer ? ['replace_peers=true'] : []),
    `public_key=${Buffer.from(link.peerKey, 'base64').toString('hex')}`,
    `endpoint=${endpointOf(link)}`,
    `persistent_keepalive_interval=${KEEPALIVE_S}`,
    'replace_allowed_ips=true',
    'allowed_ip=0.0.0.0/0',
    'allowed_ip=::/0',
    '\n',
  ].join('\n');

/** Reads the answer to a get operation; undefined when the device has no key. */
export function parseDevice(answer: string, expected?: KeyPair): DeviceState | undefined {
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
    ? { keys: expected?.privateKey === privateKey ? expected : keyPairOf(privateKey), port, peers }
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
