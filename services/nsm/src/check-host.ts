import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { inOwnNamespaces } from '@nsm/lab';
import { NsmError } from '@nsm/rpc';
import type { Check } from './check-table.ts';
import { bad, capabilityFindings, type Finding, good, kernelFindings } from './preflight.ts';
import { places } from './which-lab.ts';

/** That of the bundles (scripts/build.mjs). */
const NODE = 24;
/** NETLINK_GET_STRICT_CHK */
const LINUX = [4, 20] as const;

/** Checks this machine, as this user. Leaves nothing behind. */
export function hostFindings(): Finding[] {
  const root = process.getuid?.() === 0;
  const own = ownNamespaces(root);
  const rootless = !root && own.state === 'ok';
  const kernel = rootless ? kernelInside() : kernelFindings();
  return [
    linux(release()),
    ...withProgram(kernel, inPath('wireguard-go', process.env['PATH'] ?? '')),
    ...capabilityFindings(readFileSync('/proc/thread-self/status', 'utf8'), rootless),
    own,
    folder(),
    node(process.versions.node),
  ];
}

/** The findings of this same command inside a user namespace, where this user may try what the kernel has. */
function kernelInside(): Finding[] {
  const [command = '', ...args] = inOwnNamespaces([
    process.execPath,
    ...process.execArgv,
    process.argv[1] ?? '',
    ...['check', '-o', 'json'],
  ]);
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  try {
    return (JSON.parse(stdout) as Finding[]).filter(
      ({ group, name }) => group === 'kernel' && name !== 'version',
    );
  } catch (error) {
    throw new NsmError(
      'internal',
      `no answer from the check inside a user namespace: ${stderr.trim()}`,
      { cause: error },
    );
  }
}

/** wireguard-go stands in for the kernel's WireGuard, with a tun device. */
export function withProgram(
  kernel: readonly Finding[],
  wireguardGo: string | undefined,
): Finding[] {
  const tun = kernel.some(({ name, state }) => name === 'tun' && state === 'ok');
  return kernel.map((finding) => {
    if (finding.name !== 'wireguard' || finding.state === 'ok' || !tun) return finding;
    return wireguardGo === undefined
      ? { ...finding, detail: `${finding.detail}; and there is no wireguard-go in PATH` }
      : { ...finding, detail: `by ${wireguardGo}, some 25 times slower than VXLAN` };
  });
}

function linux(version: string): Finding {
  const check: Check = {
    name: 'version',
    need: 'required',
    reason: 'strict checking of netlink requests',
    remedy: `a kernel of ${LINUX.join('.')} or later`,
  };
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const enough = major > LINUX[0] || (major === LINUX[0] && minor >= LINUX[1]);
  return (enough ? good : bad)('kernel', check, version);
}

/** Namespaces without root; root has no use for them. */
function ownNamespaces(root: boolean): Finding {
  const check: Check = {
    name: 'user namespaces',
    need: root ? 'optional' : 'required',
    reason: 'labs and tests of users without root',
    remedy: 'run as root',
  };
  try {
    const [command = '', ...args] = inOwnNamespaces(['true']);
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    return status === 0
      ? good('privileges', check, 'can be made')
      : bad('privileges', check, stderr.trim());
  } catch (error) {
    if (!(error instanceof NsmError)) throw error;
    const remedy = error.hint ?? check.remedy;
    return bad('privileges', { ...check, remedy }, error.message);
  }
}

/** Where labs keep their state: it, or the first folder above it that is there, can be written. */
function folder(): Finding {
  const { stateRoot } = places();
  const check: Check = {
    name: 'state folder',
    need: 'required',
    reason: 'labs keep their sockets, logs and state in it',
    remedy: 'name a folder of your own in NSM_LAB_STATE',
  };
  const detail = writable(stateRoot);
  return detail === undefined
    ? good('privileges', check, stateRoot)
    : bad('privileges', check, `${stateRoot}: ${detail}`);
}

function writable(path: string): string | undefined {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' && dirname(path) !== path ? writable(dirname(path)) : message;
  }
}

function node(version: string): Finding {
  const check: Check = {
    name: 'Node',
    need: 'required',
    reason: 'the programs are built for it; npm start and npm test bring their own',
    remedy: `Node ${NODE} or later, or dist/bin/nsm, which finds the one in node_modules`,
  };
  return (Number.parseInt(version, 10) >= NODE ? good : bad)('programs', check, version);
}

function inPath(program: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
