// Finds the program wireguard-go for the tests, or gets it: from the distribution as root, else as a Go module.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const MODULE = 'golang.zx2c4.com/wireguard@v0.0.0-20250521234502-f333402bd9cb';
const SOCKETS = '/var/run/wireguard';

/** `{ program }`, or `{ why }` there is none and what would help. */
export function wireguardGo(root) {
  const why = whyNoTun() ?? whyNoSockets();
  if (why !== undefined) return { why };
  const folder = join(root, '.cache', 'wireguard-go');
  const program = inPath('wireguard-go') ?? built(folder) ?? fromPackage() ?? fromModule(folder);
  return program === undefined
    ? {
        why: 'there is no program wireguard-go, and neither apt-get (as root) nor go could get it; install the package wireguard-go',
      }
    : { program };
}

function whyNoTun() {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return `/dev/net/tun cannot be opened (${error.code})`;
  }
}

function whyNoSockets() {
  try {
    mkdirSync(SOCKETS, { recursive: true, mode: 0o755 });
    accessSync(SOCKETS, constants.W_OK);
    return undefined;
  } catch (error) {
    return `${SOCKETS} cannot be written to (${error.code}); run the tests as root`;
  }
}

function inPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

function built(folder) {
  const file = join(folder, 'wireguard');
  return existsSync(file) ? file : undefined;
}

function fromPackage() {
  if (process.getuid() !== 0 || inPath('apt-get') === undefined) return undefined;
  const options = ['install', '-y', '-qq', '--no-install-recommends', 'wireguard-go'];
  const install = () => spawnSync('apt-get', options, { stdio: 'ignore' }).status === 0;
  if (!install()) {
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
    install();
  }
  return inPath('wireguard-go');
}

function fromModule(folder) {
  if (inPath('go') === undefined) return undefined;
  spawnSync('go', ['install', MODULE], {
    stdio: 'ignore',
    env: { ...process.env, GOBIN: folder, CGO_ENABLED: '0' },
  });
  return built(folder);
}
