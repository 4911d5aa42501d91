import { createPrivateKey, X509Certificate } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '@nsm/chain';
import { spiffeIdOf, trustDomainOf, type Identity, type IdentitySource } from '@nsm/rpc';
import { createHolder } from './source.ts';

export interface PemOptions {
  /** Paths: the leaf and its intermediates; its key in PKCS#8 or SEC1; the CA certificates of its trust domain. */
  readonly files: { readonly certificate: string; readonly key: string; readonly bundle: string };
  /** By trust domain, the path of the CA certificates of each other one that is believed. */
  readonly federated: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Told of each identity, and of files that make none; then the one before stays in force. */
  readonly onEvent: (event: { identity: Identity } | { fault: string }) => void;
}

/** The identity that PEM files hold, read again whenever something in their folders changes. */
export function pemSource({ files, federated, clock, onEvent }: PemOptions): IdentitySource {
  const watchers: FSWatcher[] = [];
  const holder = createHolder(clock, () => {
    for (const watcher of watchers) watcher.close();
  });
  let known = '';
  const read = async (): Promise<void> => {
    try {
      const identity = await identityFrom(files, federated);
      const now = [identity.certificates, ...identity.bundles.values()].flat().join('');
      if (now === known) return;
      known = now;
      holder.set(identity);
      onEvent({ identity });
    } catch (err) {
      const fault = Error.isError(err) ? err.message : String(err);
      holder.fail(fault);
      onEvent({ fault });
    }
  };
  // One after the other: what was read last is what the files became last.
  let reading = read();
  const paths = [...Object.values(files), ...Object.values(federated)];
  for (const folder of new Set(paths.map((path) => dirname(path))))
    try {
      // The folder is watched, as new files are put in place of old ones.
      watchers.push(
        watch(folder, { persistent: false }, () => void (reading = reading.then(read))),
      );
    } catch {
      // The read has told that the files are not there; there is nothing to follow.
    }
  return holder;
}

async function identityFrom(
  files: PemOptions['files'],
  federated: PemOptions['federated'],
): Promise<Identity> {
  const [leaf, ...above] = await certificatesIn(files.certificate);
  const key = await readFile(files.key, 'utf8');
  const privateKey = within(files.key, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey))
    throw new Error(`${files.key}: is not the key of ${files.certificate}`);
  const spiffeId = within(files.certificate, () => spiffeIdOf(leaf));
  const bundles = new Map<string, readonly X509Certificate[]>();
  for (const [domain, path] of Object.entries(federated))
    bundles.set(domain, await certificatesIn(path));
  bundles.set(trustDomainOf(spiffeId) ?? '', await certificatesIn(files.bundle));
  return { spiffeId, certificates: [leaf, ...above], privateKey, bundles };
}

async function certificatesIn(path: string): Promise<[X509Certificate, ...X509Certificate[]]> {
  const text = await readFile(path, 'utf8');
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const [first, ...rest] = within(path, () => blocks.map((block) => new X509Certificate(block)));
  if (!first) throw new Error(`${path}: holds no certificate`);
  return [first, ...rest];
}

/** Does something with the contents of a file, which a failure then names. */
function within<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (err) {
    throw new Error(`${path}: ${Error.isError(err) ? err.message : String(err)}`, { cause: err });
  }
}
