import { closeSync, openSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { formatNetns, inFreshNetns, listLinks, netnsOf, withRtnetlink } from '@nsm/netlink';
import { direct, requestFrom } from '../worlds/direct.ts';
import { footprint } from '../worlds/footprint.ts';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

let world: Awaited<ReturnType<typeof startNetns>>;
beforeAll(async () => {
  world = await startNetns(
    twoNodes('ns', '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }'),
  );
  await world.connected('a');
});
afterAll(() => world.stop());

const linksIn = (fd: number): string[] =>
  withRtnetlink(fd, (rtnetlink) => listLinks(rtnetlink).map(({ name }) => name)).filter(
    (name) => name !== 'lo',
  );
const heldNamespaces = (): string[] =>
  footprint(world.lab).filter((line) => line.includes('descriptors net '));

test('a client whose namespace is not its own to name is refused by the manager, which says why', async () => {
  const request = requestFrom(world, 'a', 'near');
  await expect(
    direct(world, 'n1').request(request, { onConnection: undefined }),
  ).rejects.toMatchObject({
    code: 'permission-denied',
    hop: 'n1',
    element: 'receive-netns',
    message: expect.stringContaining('cannot prove it'),
  });
});

test('a wire ends in a namespace that nobody can find, by its descriptor, and goes without a trace', async () => {
  const before = await world.links('nse-near');
  // No process lives in it, and it is mounted nowhere.
  const fd = inFreshNetns(() => openSync('/proc/thread-self/ns/net', 'r'));
  const inodeURL = formatNetns(netnsOf(fd));
  const parameters = { name: 'hid-1', inodeURL };
  const connection = await direct(world, 'n1').request(
    requestFrom(world, 'a', 'near', {
      mechanismPreferences: [{ cls: 'LOCAL', type: 'KERNEL', parameters }],
    }),
  );
  expect(connection.mechanism?.parameters['inodeURL']).toBe(inodeURL);
  expect(linksIn(fd)).toEqual(['hid-1']);
  await direct(world, 'n1').close(connection);
  await eventually(
    async () => linksIn(fd),
    (links) => links.length === 0,
  );
  expect(await world.links('nse-near')).toEqual(before);
  closeSync(fd);
});

test('no process holds a namespace once its calls have ended', async () => {
  await eventually(
    async () => heldNamespaces(),
    (held) => held.length === 0,
  );
});
