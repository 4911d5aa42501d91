import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { nsmgrChain, type NsmgrDeps } from './chain.ts';
import { followExcludedFile } from './excluded-file.ts';
import { publicUrl } from './public-url.ts';

test('the chain of a manager, in order', () => {
  expect(nsmgrChain({} as NsmgrDeps).name).toMatchInlineSnapshot(
    `"validate > receive-netns > update-path > update-token > authorize > lifecycle > expire > admit > client-info > excluded-prefixes > discover-forwarder > follow-next-hop > connect"`,
  );
});

describe('the public URL', () => {
  const address = (address: string, family: 'IPv4' | 'IPv6', internal = false) =>
    ({ address, family, internal }) as never;
  test.each([
    [['unix:///a', 'tcp://10.0.0.1:5001'], {}, 'tcp://10.0.0.1:5001'],
    [['unix:///a'], {}, 'unix:///a'],
    [
      ['tcp://:5001'],
      {
        lo: [address('127.0.0.1', 'IPv4', true)],
        eth0: [address('fd00::2', 'IPv6'), address('10.0.0.2', 'IPv4')],
      },
      'tcp://10.0.0.2:5001',
    ],
    [
      ['tcp://0.0.0.0:5001'],
      { eth0: [address('fe80::1', 'IPv6'), address('fd00::2', 'IPv6')] },
      'tcp://[fd00::2]:5001',
    ],
  ])('of %j with %j is %s', (listenOn, interfaces, url) => {
    expect(publicUrl(listenOn, interfaces)).toBe(url);
  });
});

describe('the file of excluded prefixes', () => {
  let dir = '';
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test('is followed as it comes and changes, and a fault keeps what was read', async () => {
    dir = mkdtempSync(join(tmpdir(), 'excl-'));
    const path = join(dir, 'excluded.yaml');
    const faults: string[] = [];
    const file = await followExcludedFile(path, (fault) => faults.push(fault));
    expect(file.current()).toEqual([]);
    const put = (text: string) => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    const until = async (passes: () => boolean) => {
      while (!passes()) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    put('prefixes: [10.0.0.0/8]');
    await until(() => file.current().length === 1);
    put('prefixes: [10.0.0.0/8, nonsense]');
    await until(() => faults.length > 0);
    expect(faults[0]).toContain('not an IP prefix: "nonsense"');
    expect(file.current()).toEqual(['10.0.0.0/8']);
    file.close();
  });
});
