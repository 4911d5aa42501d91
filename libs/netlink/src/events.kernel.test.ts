import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createNetns,
  deleteNetns,
  linkDelete,
  linkSet,
  type NetlinkEvent,
  nsidOf,
  openEvents,
  openNetns,
  vethAdd,
  withRtnetlink,
} from './index.ts';
import { close } from './sys.ts';

let directory: string;
let home: string;
let pod: string;
let events: { close(): void } | undefined;
const heard: NetlinkEvent[] = [];
let wake = (): void => undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nsm-events-'));
  [home, pod] = [join(directory, 'home'), join(directory, 'pod')];
  createNetns(home);
  createNetns(pod);
  heard.length = 0;
  events = openEvents(
    (event) => {
      heard.push(event);
      wake();
    },
    { netns: home },
  );
});

afterEach(() => {
  events?.close();
  for (const name of readdirSync(directory)) deleteNetns(join(directory, name));
  rmSync(directory, { recursive: true });
});

/** Waits for an event; the test's own time limit ends a wait in vain. */
async function until(passes: (event: NetlinkEvent) => boolean): Promise<NetlinkEvent> {
  for (;;) {
    const found = heard.find(passes);
    if (found !== undefined) return found;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

const number = (): number => {
  const fd = openNetns(pod);
  try {
    return withRtnetlink(home, (rt) => nsidOf(rt, fd).nsid);
  } finally {
    close(fd);
  }
};
const isAbout =
  (event: NetlinkEvent['event'], name: string) =>
  (heardOf: NetlinkEvent): boolean =>
    heardOf.event === event && 'link' in heardOf && heardOf.link.name === name;

test('the links of a namespace with a number are heard, and its end', async () => {
  const nsid = number();
  expect(number()).toBe(nsid);
  withRtnetlink(pod, (rt) => {
    rt.request([
      vethAdd({ name: 'v0', index: 4001 }, { name: 'v1' }),
      linkSet({ name: 'v0', index: 4001 }, { alias: 'mine', up: true }),
      linkSet({ name: 'v0', index: 4001 }, { name: 'v2' }),
    ]);
  });
  expect(await until(isAbout('link', 'v2'))).toMatchObject({
    nsid,
    link: { index: 4001, alias: 'mine', up: true },
  });
  withRtnetlink(pod, (rt) => rt.request([linkDelete({ name: 'v2', index: 4001 })]));
  expect(await until(isAbout('no-link', 'v2'))).toMatchObject({ nsid, link: { alias: 'mine' } });
  deleteNetns(pod);
  expect(await until(({ event }) => event === 'no-netns')).toEqual({ event: 'no-netns', nsid });
});

test('a namespace without a number is not heard, the own one is', async () => {
  withRtnetlink(pod, (rt) => rt.request([vethAdd({ name: 'v0' }, { name: 'v1' })]));
  withRtnetlink(home, (rt) => rt.request([vethAdd({ name: 'w0' }, { name: 'w1' })]));
  expect(await until(isAbout('link', 'w0'))).toMatchObject({ nsid: undefined });
  expect(heard.some(isAbout('link', 'v0'))).toBe(false);
});

/** What a process with the rights of a forwarder in a container hears of `pod`: its link goes, then the namespace itself. */
async function heardWithoutBroadcast(): Promise<unknown> {
  const script = `
    import { deleteNetns, linkDelete, openEvents, withRtnetlink } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const [home, pod] = ${JSON.stringify([home, pod])};
    const heard = [];
    // Listening alone does not keep a process.
    const keep = setInterval(() => undefined, 1_000);
    const events = openEvents((event) => {
      heard.push(event.link?.name ?? event.nsid);
      if (event.event !== 'no-netns') return;
      events.close();
      clearInterval(keep);
      console.log(JSON.stringify({ everywhere: events.everywhere, heard }));
    }, { netns: home });
    withRtnetlink(pod, (rt) => rt.request([linkDelete({ name: 'v0', index: 4001 })]));
    deleteNetns(pod);`;
  const three = ['-all', '+net_admin', '+sys_admin', '+sys_ptrace'].join();
  const { stdout } = await promisify(execFile)('setpriv', [
    ...[`--bounding-set=${three}`, `--inh-caps=${three}`],
    ...[process.execPath, '--conditions=source', '--input-type=module', '--eval', script],
  ]);
  return JSON.parse(stdout);
}

test('with CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_SYS_PTRACE alone the end of a namespace is heard, its links are not', async () => {
  const nsid = number();
  withRtnetlink(pod, (rt) => rt.request([vethAdd({ name: 'v0', index: 4001 }, { name: 'v1' })]));
  expect(await heardWithoutBroadcast()).toEqual({ everywhere: false, heard: [nsid] });
  // Who may hears both.
  await until(isAbout('no-link', 'v0'));
});
