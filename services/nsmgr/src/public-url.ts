import { networkInterfaces } from 'node:os';

/**
 * What other nodes dial this manager by (contract 6.7): the first tcp URL it listens on, with an address of this host
 * where it names none; without any, the first URL.
 */
export function publicUrl(listenOn: readonly string[], interfaces = networkInterfaces()): string {
  const tcp = listenOn.find((url) => url.startsWith('tcp://'));
  if (tcp === undefined) return listenOn[0] ?? '';
  const [, host = '', port = ''] = /^tcp:\/\/(.*):(\d+)$/.exec(tcp) ?? [];
  if (!['', '0.0.0.0', '[::]'].includes(host)) return tcp;
  const addresses = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .filter(({ internal }) => !internal);
  const four = addresses.find(({ family }) => family === 'IPv4');
  const six = addresses.find(
    ({ family, address }) => family === 'IPv6' && !address.startsWith('fe80:'),
  );
  const address = four?.address ?? (six ? `[${six.address}]` : '127.0.0.1');
  return `tcp://${address}:${port}`;
}
