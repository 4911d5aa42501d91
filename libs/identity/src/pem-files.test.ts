import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import type { Identity, IdentitySource } from '@nsm/rpc';
import { createAuthority } from './authority.ts';
import { pemSource } from './pem-files.ts';

const HOUR = 3_600_000;
const authority = createAuthority('nsm.local', HOUR, systemClock);
type Event = { identity: Identity } | { fault: string };

let dir: string;
let source: IdentitySource | undefined;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'pem-'))));
afterEach(() => {
  source?.close();
  rmSync(dir, { recursive: true });
});

/** Replaces a file in one step. */
const put = (name: string, text: string): void => {
  writeFileSync(join(dir, `${name}.new`), text);
  renameSync(join(dir, `${name}.new`), join(dir, name));
};
const write = ({ certificates, privateKey }: Identity): void => {
  put('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  put('cert.pem', certificates.join(''));
  put('ca.pem', authority.certificate.toString());
};

/** A source, and its events as they come. */
function follow() {
  const events: Event[] = [];
  let wake = (): void => undefined;
  source = pemSource({
    files: {
      certificate: join(dir, 'cert.pem'),
      key: join(dir, 'key.pem'),
      bundle: join(dir, 'ca.pem'),
    },
    federated: {},
    clock: systemClock,
    onEvent: (event) => {
      events.push(event);
      wake();
    },
  });
  const until = async (passes: (event: Event) => boolean): Promise<Event> => {
    for (;;) {
      const found = events.find(passes);
      if (found) return found;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { source, until };
}

describe('PEM files', () => {
  test('are an identity, and another one once they change', async () => {
    write(authority.issue('spiffe://nsm.local/a', HOUR));
    const { source: files, until } = follow();
    const { spiffeId, bundles } = await files.current();
    expect(spiffeId).toBe('spiffe://nsm.local/a');
    expect([...bundles.keys()]).toEqual(['nsm.local']);
    write(authority.issue('spiffe://nsm.local/b', HOUR));
    await until((event) => 'identity' in event && event.identity.spiffeId.endsWith('/b'));
    expect((await files.current()).spiffeId).toBe('spiffe://nsm.local/b');
  });

  test('that are broken leave the last good ones in force, and say which file and why', async () => {
    write(authority.issue('spiffe://nsm.local/a', HOUR));
    const { source: files, until } = follow();
    const good = await files.current();
    put('cert.pem', 'nothing');
    expect(await until((event) => 'fault' in event)).toEqual({
      fault: `${join(dir, 'cert.pem')}: holds no certificate`,
    });
    expect(await files.current()).toBe(good);
  });

  test('whose key is another one are no identity', async () => {
    write(authority.issue('spiffe://nsm.local/a', HOUR));
    const { privateKey } = authority.issue('spiffe://nsm.local/b', HOUR);
    put('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    const { source: files, until } = follow();
    await until((event) => 'fault' in event && event.fault.includes('is not the key of'));
    await expect(files.current(AbortSignal.abort())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is not the key of'),
    });
  });
});
