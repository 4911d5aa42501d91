import { readFileSync } from 'node:fs';
import type { Networks } from '@nsm/connection';
import { getLink, withRtnetlink } from '@nsm/netlink';
import { parse } from 'yaml';

/**
 * Reads the physical networks of this node from a device selector file (contract 7.3):
 *
 * ```yaml
 * interfaces:
 *   - name: eth1
 *     matches:
 *       - labelSelector:
 *           - via: gw1
 * ```
 * @throws Error that names the file and the entry at fault
 */
export function readDeviceSelector(path: string): Networks {
  let devices: ReadonlyMap<string, string>;
  try {
    devices = parseDeviceSelector(readFileSync(path, 'utf8'));
  } catch (error) {
    const fault = Error.isError(error) ? error.message : String(error);
    throw new Error(`NSM_DEVICE_SELECTOR_FILE=${path}: ${fault}`, { cause: error });
  }
  return {
    names: [...devices.keys()],
    find: (via) => {
      const device = devices.get(via);
      // Asked each time: links come and go, and their MTU may be changed.
      return device === undefined ? undefined : { device, mtu: mtuOf(device) };
    },
  };
}

/** The link of each network. @throws Error that names the entry at fault */
export function parseDeviceSelector(text: string): Map<string, string> {
  const document = objectOf('the file', parse(text) ?? {});
  const unknown = Object.keys(document).find((key) => key !== 'interfaces');
  if (unknown !== undefined)
    throw new Error(
      `${unknown}: only interfaces are known; name the link that leads to the network`,
    );
  const devices = new Map<string, string>();
  for (const [i, entry] of listOf('interfaces', document['interfaces'] ?? []).entries()) {
    const at = `interfaces[${i}]`;
    const { name, matches } = objectOf(at, entry);
    if (typeof name !== 'string' || name === '') throw new Error(`${at}.name: is not a link`);
    for (const via of viasOf(at, matches)) {
      const other = devices.get(via);
      if (other !== undefined)
        throw new Error(`${at}: the network ${via} is that of ${other} already`);
      devices.set(via, name);
    }
  }
  return devices;
}

const viasOf = (at: string, matches: unknown): string[] =>
  listOf(`${at}.matches`, matches).flatMap((match, i) => {
    const field = `${at}.matches[${i}].labelSelector`;
    return listOf(field, objectOf(field, match)['labelSelector']).map((selector, j) => {
      const { via } = objectOf(`${field}[${j}]`, selector);
      if (typeof via !== 'string' || via === '')
        throw new Error(`${field}[${j}].via: is not the name of a network`);
      return via;
    });
  });

function listOf(field: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${field}: is not a list`);
  return value;
}

function objectOf(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${field}: is not a mapping`);
  return value as Readonly<Record<string, unknown>>;
}

const mtuOf = (device: string): number =>
  withRtnetlink(undefined, (rtnetlink) => getLink(rtnetlink, device)?.mtu ?? 0);
