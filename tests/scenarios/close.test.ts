import { afterEach, describe, expect, test } from '@jest/globals';
import { worlds } from '../worlds/index.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually, type World } from '../worlds/world.ts';

const CLIENTS = '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }';

describe.each(worlds)('close, in %s', (_name, start) => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  /** A world whose client has been connected once and closed, so that what is made once for all is there. */
  const settled = async (name: string, tokenLifetime?: string) => {
    const started = await start(
      twoNodes(name, CLIENTS),
      tokenLifetime === undefined ? {} : { tokenLifetime },
    );
    world = started;
    await started.connected('a');
    await started.end('a');
    // Out of service at once, gone from the kernel a moment later.
    const links = async () =>
      (await Promise.all(['a', 'nse-near', 'nse-far'].map(started.links))).flat();
    await eventually(links, (all) => all.length === 0);
    expect(await started.wires()).toEqual([]);
    return started;
  };

  test('leaves nothing of a local and a remote wire', async () => {
    const w = await settled('clos');
    const before = await w.census();
    for (let i = 0; i < 2; i += 1) {
      await w.start('a');
      await w.connected('a');
      expect(await w.census()).not.toEqual(before);
      await w.end('a');
      await eventually(w.census, (now) => JSON.stringify(now) === JSON.stringify(before));
    }
  });

  test('a client that is killed leaves nothing once its token has ended', async () => {
    const w = await settled('kill', '3s');
    const before = JSON.stringify(await w.census());
    await w.start('a');
    await w.connected('a');
    await w.kill('a');
    expect(await w.wires()).toHaveLength(2);
    await eventually(w.census, (now) => JSON.stringify(now) === before, 15_000);
    expect(await w.wires()).toEqual([]);
  });

  test('a client that comes back before that has its wires again, the same ones', async () => {
    const w = await settled('back');
    await w.start('a');
    await w.connected('a');
    const before = [await w.links('a'), await w.links('nse-near'), await w.links('nse-far')];
    await w.kill('a');
    await w.start('a');
    await eventually(
      () => w.refreshes('a'),
      (count) => count >= 2,
    );
    expect([await w.links('a'), await w.links('nse-near'), await w.links('nse-far')]).toEqual(
      before,
    );
    expect(await w.wires()).toHaveLength(2);
  });
});
