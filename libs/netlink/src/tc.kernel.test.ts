import { mkdtempSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { popTag, pushTag } from './bpf.ts';
import { getLink, listLinks } from './link.ts';
import { linkDelete, linkSet, vethAdd, vlanAdd } from './link-message.ts';
import { createNetns, deleteNetns } from './netns.ts';
import { openRtnetlink, type Rtnetlink } from './socket.ts';
import { close } from './sys.ts';
import { openTap } from './tap.ts';
import {
  clsactAdd,
  clsactDelete,
  filterDelete,
  filterReplace,
  type InstalledFilter,
  listFilters,
} from './tc.ts';

/** A tap is the physical network: what it reads and writes are frames as they are on the wire. */
let directory: string;
let rtnetlink: Rtnetlink;
let taps: { readonly net: number; readonly port: number };
let net: number;
let port: number;

const frame = (payload: string, tag?: number): Buffer =>
  Buffer.concat([
    Buffer.from('ffffffffffff020000000001', 'hex'),
    ...(tag === undefined ? [] : [Buffer.from([0x81, 0x00, tag >> 8, tag & 0xff])]),
    Buffer.from('88b5', 'hex'), // for experiments (IEEE 802)
    Buffer.from(payload.padEnd(60, '.')),
  ]);

/** The next experimental frame that comes out of a tap; undefined when there is none for a while. */
async function next(fd: number, patience = 50): Promise<Buffer | undefined> {
  const buffer = Buffer.alloc(2048);
  for (let i = 0; i < patience; i += 1) {
    try {
      const got = Buffer.from(buffer.subarray(0, readSync(fd, buffer)));
      if (got.includes(Buffer.from('88b5', 'hex'))) return got;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await sleep(2);
    }
  }
  return undefined;
}
const filters = (index: number): InstalledFilter[] => listFilters(rtnetlink, index);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-netns-'));
  const netns = join(directory, 'a');
  createNetns(netns);
  taps = { net: openTap(netns, 'net'), port: openTap(netns, 'port') };
  rtnetlink = openRtnetlink(netns);
  net = getLink(rtnetlink, 'net')!.index;
  port = getLink(rtnetlink, 'port')!.index;
  rtnetlink.request([linkSet(net, { up: true }), linkSet(port, { up: true })]);
});

afterEach(() => {
  rtnetlink.close();
  close(taps.net);
  close(taps.port);
  for (const name of readdirSync(directory)) deleteNetns(join(directory, name));
  rmSync(directory, { recursive: true });
});

test.each([1, 100, 4094])(
  'frames of a port leave with the tag %i, and frames with it come back without',
  async (tag) => {
    rtnetlink.request([clsactAdd(net), clsactAdd(port), clsactAdd(port)]);
    filterReplace(rtnetlink, port, { handle: tag, name: 'out', program: pushTag(tag, net) });
    filterReplace(rtnetlink, net, { handle: tag, name: 'in', program: popTag(tag, port) });
    writeSync(taps.port, frame('out'));
    expect((await next(taps.net))?.toString('hex')).toBe(frame('out', tag).toString('hex'));
    writeSync(taps.net, frame('untagged'));
    writeSync(taps.net, frame('other', (tag % 4094) + 1));
    writeSync(taps.net, frame('in', tag));
    expect((await next(taps.port))?.toString('hex')).toBe(frame('in').toString('hex'));
    expect(await next(taps.port)).toBeUndefined();
  },
);

test('a tagged frame of a port keeps its tag inside, and cannot leave its VLAN', async () => {
  rtnetlink.request([clsactAdd(port)]);
  filterReplace(rtnetlink, port, { handle: 7, name: 'out', program: pushTag(7, net) });
  writeSync(taps.port, frame('twice', 9));
  const [start, end] = [frame('twice', 7).subarray(0, 16), frame('twice', 9).subarray(12)];
  expect((await next(taps.net))?.toString('hex')).toBe(Buffer.concat([start, end]).toString('hex'));
});

test('the tag 0 is for frames without one', async () => {
  rtnetlink.request([clsactAdd(net), clsactAdd(port)]);
  filterReplace(rtnetlink, port, { handle: 4096, name: 'out', program: pushTag(0, net) });
  filterReplace(rtnetlink, net, { handle: 4096, name: 'in', program: popTag(0, port) });
  writeSync(taps.port, frame('out'));
  expect((await next(taps.net))?.toString('hex')).toBe(frame('out').toString('hex'));
  writeSync(taps.net, frame('tagged', 5));
  writeSync(taps.net, frame('in'));
  expect((await next(taps.port))?.toString('hex')).toBe(frame('in').toString('hex'));
});

test('filters are found by link and handle, replaced, and deleted one by one', () => {
  rtnetlink.request([clsactAdd(net)]);
  for (const tag of [5, 6, 5])
    filterReplace(rtnetlink, net, {
      handle: tag,
      name: `nsm in ${tag}`,
      program: popTag(tag, port),
    });
  const ours = { hook: 'ingress', ours: true };
  expect(filters(net).toSorted((a, b) => a.handle - b.handle)).toEqual([
    { ...ours, handle: 5, name: 'nsm in 5' },
    { ...ours, handle: 6, name: 'nsm in 6' },
  ]);
  rtnetlink.request([filterDelete(net, 5), filterDelete(net, 5)]);
  expect(filters(net).map(({ handle }) => handle)).toEqual([6]);
  rtnetlink.request([clsactDelete(net), clsactDelete(net), filterDelete(net, 6)]);
  expect(filters(net)).toEqual([]);
});

test('a program that the verifier refuses is told with its reason', () => {
  rtnetlink.request([clsactAdd(net)]);
  const program = popTag(5, port).subarray(0, 8);
  expect(() => filterReplace(rtnetlink, net, { handle: 5, name: 'bad', program })).toThrow(
    expect.objectContaining({
      code: 'EINVAL',
      cause: expect.stringMatching(/insn|last/) as unknown,
    }),
  );
});

test('a VLAN link is made where the kernel has them, and refused by its kind where it has none', () => {
  rtnetlink.request([vethAdd({ name: 'v0' }, { name: 'v1' })]);
  const carrier = getLink(rtnetlink, 'v0')!.index;
  try {
    rtnetlink.request([vlanAdd({ name: 'v0.5' }, carrier, 5)]);
    expect(getLink(rtnetlink, 'v0.5')).toMatchObject({
      kind: 'vlan',
      vlan: { tag: 5, parent: carrier },
    });
    rtnetlink.request([linkDelete(getLink(rtnetlink, 'v0.5')!.index)]);
  } catch (error) {
    expect(error).toMatchObject({ code: 'EOPNOTSUPP' });
  }
  expect(listLinks(rtnetlink).some(({ kind }) => kind === 'vlan')).toBe(false);
});
