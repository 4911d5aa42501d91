import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NsmError } from './error.ts';

/** Linux: sun_path holds 108 bytes with its terminator. */
const MAX_SOCKET_PATH = 107;

/** What a transport dials or binds for a URL of the protocol (contract 2.7): unix:///path or tcp://host:port. */
export function targetOf(url: string): string {
  if (url.startsWith('unix://')) {
    const path = url.slice('unix://'.length);
    if (!path.startsWith('/') || path.includes('\0'))
      throw new NsmError('invalid-argument', `url: "${url}" does not name an absolute socket path`);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
      throw new NsmError(
        'invalid-argument',
        `url: the socket path of "${url}" is longer than ${MAX_SOCKET_PATH} bytes`,
      );
    return `unix:${path}`;
  }
  const target = url.startsWith('tcp://') ? url.slice('tcp://'.length) : url;
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^:/?#@\s]*):(\d{1,5})$/.exec(target)?.[1];
  if (port === undefined || Number(port) > 65_535)
    throw new NsmError(
      'invalid-argument',
      `url: "${url}" is neither unix:///path nor tcp://host:port`,
    );
  return target.startsWith(':') ? `0.0.0.0${target}` : target;
}

/**
 * Makes room for a listener. A unix socket gets its folder, replaces a stale file, and is opened to all users once bound
 * (contract 7.9: mode 0777) unless another mode is given; before that it has what the umask leaves, and nobody else can write to it.
 * Returns what the URL has become when the socket is bound.
 */
export async function prepareSocket(
  url: string,
  mode = 0o777,
): Promise<{ bound(port: number): Promise<string> }> {
  if (!url.startsWith('unix://')) return { bound: async (port) => url.replace(/:0$/, `:${port}`) };
  const path = url.slice('unix://'.length);
  await mkdir(dirname(path), { recursive: true });
  const there = await lstat(path).catch(() => undefined);
  if (there?.isSocket()) await unlink(path);
  else if (there)
    throw new NsmError(
      'invalid-argument',
      `url: ${path} exists and is not a socket; remove it or listen elsewhere`,
    );
  return {
    bound: async () => {
      await chmod(path, mode);
      return url;
    },
  };
}
