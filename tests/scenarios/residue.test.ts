import { afterEach, expect, test } from '@jest/globals';
import { cycle } from '../worlds/cycles.ts';
import { changes, footprint, unchanged } from '../worlds/footprint.ts';
import { startNetns } from '../worlds/netns.ts';
import { twoNodes } from '../worlds/topologies.ts';
import { eventually } from '../worlds/world.ts';

const CYCLES = 300;
/** What a caller that gave up has left on a far hop goes at the end of its token, at the latest. */
const TOKEN_S = 10;
const IDLE_MS = (TOKEN_S + 2) * 1_000;

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

test(`${CYCLES} wires made and closed, half of the callers giving up at a random moment, leave nothing`, async () => {
  const started = await startNetns(
    twoNodes('resi', '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }'),
    { tokenLifetime: `${TOKEN_S}s` },
  );
  world = started;
  await started.connected('a');
  // What is opened once for all is open after a few.
  await cycle(started, 'a', 20, Math.random);
  const before = await unchanged(() => footprint(started.lab), IDLE_MS);
  const { connected, cancelled } = await cycle(started, 'a', CYCLES, Math.random);
  expect(connected).toBeGreaterThan(CYCLES / 4);
  expect(cancelled).toBeGreaterThan(CYCLES / 20);
  await eventually(
    async () => changes(before, footprint(started.lab)),
    (changed) => changed.length === 0,
    60_000,
  );
}, 180_000);
