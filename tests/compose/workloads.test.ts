import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { getLink, linkDelete, withRtnetlink } from '@nsm/netlink';
import { createProject, type Project } from '../worlds/compose-project.ts';
import { linksOf } from '../worlds/links.ts';
import { eventually } from '../worlds/world.ts';

const root = join(import.meta.dirname, '../..');
const shipped = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
/** What docs/compose.md tells to write for a container of one's own: with a client beside it, and one that waits for its wire. */
const [sidecar = '', init = ''] = [
  ...readFileSync(join(root, 'docs/compose.md'), 'utf8').matchAll(/```yaml\n([^]*?)```/g),
].map(([, snippet = '']) => snippet);

let folder: string;
let mesh: Project;
afterEach(async () => {
  await mesh.down();
  rmSync(folder, { recursive: true, force: true });
  expect(mesh.left()).toEqual([]);
});

/** The shipped file with the services of a snippet, whose container runs `script`; starts these and what they need. */
async function start(snippet: string, script: string): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const yours = `image: nsm/nsm:local\n    entrypoint: [sh, -c, '${script}']`;
  const file = join(folder, 'docker-compose.yml');
  writeFileSync(
    file,
    shipped.replace('\nnetworks:\n', `\n${snippet.replace('image: yours', yours)}\nnetworks:\n`),
  );
  mesh = createProject('nsm-yours', folder, file);
  await mesh.up(['app', 'app-nsc', 'web-nse']);
}

/** The address of the other end of the wire of `app`, once it is up. */
async function wire(): Promise<string> {
  const found = await eventually(
    async () => {
      const ask = mesh.exec('node-a', 'nsm', 'get', 'connections', '-o', 'json');
      const json = await ask.catch(() => '[]');
      return (JSON.parse(json) as { state: string; endpointAddresses: string[] }[]).find(
        ({ state, endpointAddresses }) => state === 'up' && endpointAddresses.length > 0,
      );
    },
    (up) => up !== undefined,
    60_000,
    300,
  );
  return found?.endpointAddresses[0]?.split('/')[0] ?? '';
}
const answers = (address: string): Promise<boolean> =>
  mesh.exec('app', 'nsm', 'ping', address).then(
    () => true,
    () => false,
  );

test('a container of yours has a wire by a client beside it, and has it again when its link is deleted by hand', async () => {
  await start(sidecar, 'exec sleep infinity');
  const address = await wire();
  expect(await answers(address)).toBe(true);
  // The forwarder is not told, by its three capabilities; the client is, by its pings.
  const netns = mesh.netns('app');
  const [before] = linksOf(netns);
  withRtnetlink(netns, (rt) => rt.request([linkDelete(getLink(rt, 'nsm-1')!)]));
  // It is another wire, and may have other addresses.
  await eventually(
    async () => linksOf(netns).length === 1 && answers(await wire()),
    Boolean,
    60_000,
  );
  expect(linksOf(netns)).not.toEqual([before]);
});

test('a container of yours that waits for its wire has it when it starts', async () => {
  await start(init, 'test -e /sys/class/net/nsm-1 && exec sleep infinity');
  expect(await answers(await wire())).toBe(true);
  expect(mesh.restarts('app')).toBe(0);
});
