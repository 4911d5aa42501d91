import type { Mark } from '../alias.ts';
import { DatapathError } from '../error.ts';
import type { Wireguard } from '../plan.ts';
import { type KeyPair, newKeyPair } from './key.ts';
import { deviceName, PREFIX } from './name.ts';
import { endProcess, socketOf, socketsThere, startProcess, whyNoProcess } from './process.ts';
import { type DeviceState, endpointOf, readDevice, setDevice } from './uapi.ts';

/** The public half of what a device is known by. */
export interface WireguardIdentity {
  /** Base64 of 32 bytes. */
  readonly publicKey: string;
  /** UDP port in the node's namespace. */
  readonly port: number;
}

/** Key pairs and ports of this node's WireGuard devices. Private keys never leave it, except into the device. */
export interface WireguardDevices {
  /** Of the device that is there, whoever started it; else made now and remembered until `release`. @throws DatapathError */
  identity(mark: Mark): Promise<WireguardIdentity>;
  /** Forgets a key pair and frees its port. */
  release(mark: Mark): void;
  /**
   * Makes a device that a kernel thread can move, or leaves the one that is there as it is wanted.
   * @returns whether it was made now
   * @throws DatapathError
   */
  ensure(mark: Mark, plan: Wireguard): Promise<boolean>;
  /** Ends a device, and its interface with it. None at all is fine. */
  end(mark: Mark): Promise<void>;
}

export interface WireguardOptions {
  /** The program wireguard-go: a name in PATH or a path. @default wireguard-go */
  readonly command?: string;
  /** The first UDP port to use; each device has one of its own. @default 51820 */
  readonly firstPort?: number;
  /** The node's namespace, when it is not the process's own: a path or `inode://<dev>/<ino>`. */
  readonly node?: string;
}

interface Known {
  readonly keys: KeyPair;
  readonly port: number;
}

const FIRST_PORT = 51_820;
const LAST_PORT = 65_535;

/** Why this machine has no WireGuard for us, and the remedy; undefined: it has. */
export const whyNoWireguard = ({ command = 'wireguard-go' }: WireguardOptions = {}):
  string | undefined => whyNoProcess(command);

/** WireGuard in userspace: a process of wireguard-go for each device, which outlives this one and is found again by its socket. */
export function createWireguard({
  command = 'wireguard-go',
  firstPort = FIRST_PORT,
  node,
}: WireguardOptions = {}): WireguardDevices {
  const known = new Map<string, Known>();
  /** Ports of devices that were there before us, until their connections claim them. */
  let found: Promise<Map<string, number>> | undefined;
  let next = firstPort;

  const takePort = async (): Promise<number> => {
    const used = new Set([...(await (found ??= portsThere())).values()]);
    for (const { port } of known.values()) used.add(port);
    for (let tried = firstPort; tried <= LAST_PORT; tried += 1) {
      const port = next;
      // Onwards, so that a port which somebody else holds is not tried again at once.
      next = next === LAST_PORT ? firstPort : next + 1;
      if (!used.has(port)) return port;
    }
    const message = `no UDP port from ${firstPort} on is free for a WireGuard device`;
    throw new DatapathError({ message, code: 'EADDRNOTAVAIL', operation: '' });
  };
  const identify = async (name: string): Promise<Known> => {
    const device = await readDevice(socketOf(name));
    const entry = device ?? { keys: newKeyPair(), port: await takePort() };
    const { keys, port } = entry;
    known.set(name, { keys, port });
    return entry;
  };

  return {
    identity: async (mark) => {
      const name = deviceName(mark);
      const { keys, port } = known.get(name) ?? (await identify(name));
      return { publicKey: keys.publicKey, port };
    },
    release: (mark) => {
      const name = deviceName(mark);
      known.delete(name);
      void found?.then((ports) => ports.delete(name));
    },
    ensure: async (mark, plan) => {
      const name = deviceName(mark);
      const { keys } = known.get(name) ?? (await identify(name));
      if (keys.publicKey !== plan.publicKey)
        throw new DatapathError({
          message: `the private key of ${plan.publicKey} is not known here: ask for the wire again`,
          code: 'ENOKEY',
          operation: '',
        });
      const device = await readDevice(socketOf(name));
      if (device !== undefined && isAsWanted(device, plan)) return false;
      if (device === undefined) await startProcess(command, name, node);
      try {
        await setDevice(socketOf(name), plan, keys, !hasPeer(device, plan));
      } catch (error) {
        if (device === undefined) await endProcess(name);
        throw error;
      }
      return device === undefined;
    },
    end: (mark) => endProcess(deviceName(mark)),
  };
}

const hasPeer = (device: DeviceState | undefined, { peerKey }: Wireguard): boolean =>
  device?.peers.length === 1 && device.peers[0]?.key === peerKey;

const isAsWanted = (device: DeviceState, plan: Wireguard): boolean =>
  device.keys.publicKey === plan.publicKey &&
  device.port === plan.port &&
  hasPeer(device, plan) &&
  device.peers[0]?.endpoint === endpointOf(plan);

async function portsThere(): Promise<Map<string, number>> {
  const ports = new Map<string, number>();
  for (const name of socketsThere(PREFIX)) {
    const device = await readDevice(socketOf(name)).catch(() => undefined);
    if (device !== undefined) ports.set(name, device.port);
  }
  return ports;
}
