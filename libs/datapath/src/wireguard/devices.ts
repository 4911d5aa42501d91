import type { Mark } from '../alias.ts';
import { DatapathError } from '../error.ts';
import type { Wireguard } from '../plan.ts';
import { type DeviceState, hasPeer, isAsWanted } from './device.ts';
import { findKernelDevices, kernelHasWireguard } from './kernel-device.ts';
import { type KeyPair, newKeyPair } from './key.ts';
import { deviceName, PREFIX } from './name.ts';
import { endProcess, socketOf, socketsThere, startProcess, whyNoProcess } from './process.ts';
import { readDevice, setDevice } from './uapi.ts';

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
  /** Makes a process's device that a kernel thread can move, or leaves the one that is there as it is wanted. @throws DatapathError */
  ensure(mark: Mark, plan: Wireguard): Promise<ReadyDevice>;
  /** Ends a process's device, and its interface with it. None at all is fine. */
  end(mark: Mark): Promise<void>;
}

/** A device to be taken by a kernel thread, made by a process just now or before; or the keys of one that it has to make itself. */
type ReadyDevice = { readonly made: boolean } | { readonly keys: KeyPair };

export interface WireguardOptions {
  /** The program that makes devices, a name in PATH or a path. @default the kernel's own devices, where it has them, else wireguard-go */
  readonly command?: string;
  /** The first UDP port to use; each device has one of its own. @default 51820 */
  readonly firstPort?: number;
  /** The node's namespace, when it is not the process's own: a path or `inode://<dev>/<ino>`. */
  readonly node?: string;
  /** Whether the kernel has devices of its own. @default what it says when asked */
  readonly kernel?: boolean;
}

interface Known {
  readonly keys: KeyPair;
  readonly port: number;
}

const PROGRAM = 'wireguard-go';
const FIRST_PORT = 51_820;
const LAST_PORT = 65_535;

/** Why this machine has no WireGuard for us, and the remedy; undefined: it has. */
export const whyNoWireguard = (options: WireguardOptions = {}): string | undefined =>
  byKernel(options) ? undefined : whyNoProcess(options.command ?? PROGRAM);

/**
 * WireGuard by the kernel's own devices, or in userspace: a process of wireguard-go for each device, which outlives this one and is
 * found again by its socket. A device that is a process stays one as long as it lives.
 */
export function createWireguard(options: WireguardOptions = {}): WireguardDevices {
  const { command = PROGRAM, firstPort = FIRST_PORT, node } = options;
  const inKernel = byKernel(options);
  const known = new Map<string, Known>();
  /** Devices that were there before us, until their connections release them. */
  let found: Promise<Map<string, DeviceState>> | undefined;
  let next = firstPort;

  const foundDevices = (): Promise<Map<string, DeviceState>> => (found ??= devicesThere(inKernel));
  const takePort = async (): Promise<number> => {
    const used = new Set([...(await foundDevices()).values()].map(({ port }) => port));
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
  const kernelDevice = async (name: string): Promise<DeviceState | undefined> =>
    inKernel ? (await foundDevices()).get(name) : undefined;
  const identify = async (name: string): Promise<Known> => {
    const device = (await readDevice(socketOf(name))) ?? (await kernelDevice(name));
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
      void found?.then((devices) => devices.delete(name));
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
      const device = await readDevice(socketOf(name), keys);
      if (device === undefined && inKernel) return { keys };
      if (device !== undefined && isAsWanted(device, plan)) return { made: false };
      if (device === undefined) await startProcess(command, name, node);
      try {
        const newPeer = !hasPeer(device, plan);
        await setDevice(socketOf(name), { link: plan, keys, newPeer });
      } catch (error) {
        if (device === undefined) await endProcess(name);
        throw error;
      }
      return { made: device === undefined };
    },
    end: (mark) => endProcess(deviceName(mark)),
  };
}

/** A program that is named is what shall be used. */
const byKernel = ({ command, kernel }: WireguardOptions): boolean =>
  command === undefined && (kernel ?? kernelHasWireguard());

async function devicesThere(inKernel: boolean): Promise<Map<string, DeviceState>> {
  const devices = inKernel ? findKernelDevices() : new Map<string, DeviceState>();
  for (const name of socketsThere(PREFIX)) {
    const device = await readDevice(socketOf(name)).catch(() => undefined);
    if (device !== undefined) devices.set(name, device);
  }
  return devices;
}
