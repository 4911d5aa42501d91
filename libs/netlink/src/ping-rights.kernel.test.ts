import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createNetns, deleteNetns, linkSet, ping, withRtnetlink, writeSysctl } from './index.ts';

const LOOPBACK = 1;
let folder: string;
let netns: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  netns = join(folder, 'a');
  createNetns(netns);
  withRtnetlink(netns, (rtnetlink) => rtnetlink.request([linkSet(LOOPBACK, { up: true })]));
});
afterEach(() => {
  deleteNetns(netns);
  rmSync(folder, { recursive: true });
});

/** Pings in a process without CAP_NET_RAW; answers how many answers came, or the code of the error. */
async function withoutRights(dst: string): Promise<string> {
  const script = `
    import { ping } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const { received } = await ping({ dst: ${JSON.stringify(dst)}, count: 3, intervalMs: 5 }).catch((err) => ({ received: err.code }));
    console.log(received);`;
  const { stdout } = await promisify(execFile)('nsenter', [
    `--net=${netns}`,
    ...['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw'],
    ...[process.execPath, '--conditions=source', '--input-type=module', '--eval', script],
  ]);
  return stdout.trim();
}

test.each(['127.0.0.1', '::1'])(
  'a process without rights pings %s where its group may, and is refused elsewhere',
  async (dst) => {
    writeSysctl(netns, 'net/ipv4/ping_group_range', '1 0');
    expect(await withoutRights(dst)).toBe('EACCES');
    writeSysctl(netns, 'net/ipv4/ping_group_range', '0 0');
    expect(await withoutRights(dst)).toBe('3');
  },
);

test('whether somebody answers is known with the first answer, and with the first request that cannot be sent', async () => {
  const echoes = { netns, count: 4, intervalMs: 60_000, decide: true };
  expect(await ping({ ...echoes, dst: '127.0.0.1' })).toMatchObject({ sent: 1, received: 1 });
  expect(await ping({ ...echoes, dst: '192.0.2.1' })).toMatchObject({ sent: 1, received: 0 });
});
