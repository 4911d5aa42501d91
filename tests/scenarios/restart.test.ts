import { afterEach, expect, test } from '@jest/globals';
import { listLinks, withRtnetlink } from '@nsm/netlink';
import { NsmError } from '@nsm/rpc';
import { make, refresh, unmake, type Made } from '../bench/lib/requests.ts';
import { eventually } from '../worlds/world.ts';
import { startNetns } from '../worlds/netns.ts';
import { startStream } from '../worlds/stream.ts';
import { twoNodes } from '../worlds/topologies.ts';

type Connection = Made['connection'];

const WIRES = 200;

/** Does the same with all, a few at a time, and answers in their order. */
async function together<T, R>(items: readonly T[], each: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) results[next[0]] = await each(next[1]);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return results;
}

/** Asks again while a hop cannot be reached yet, as clients do: a manager dials a process that was away with pauses in between. */
async function persist<T>(ask: () => Promise<T>): Promise<T> {
  const refused: unknown[] = [];
  const answer = async (): Promise<T | undefined> => {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof NsmError && error.code === 'unavailable')) throw error;
      refused.push(error.message);
      return undefined;
    }
  };
  const answered = await eventually(answer, (it) => it !== undefined, 20_000);
  if (answered === undefined) throw new Error(refused.join('\n'));
  return answered;
}

let world: Awaited<ReturnType<typeof startNetns>> | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

test('forwarders that are killed and start again find all wires: no packet is lost, no link is made anew', async () => {
  const started = await startNetns(
    twoNodes('rest', '  a: { node: n1, services: [kernel://near/nsm-1, kernel://far/nsm-2] }'),
  );
  world = started;
  await started.connected('a');
  // Half of them end on the other node.
  let made = await together(
    Array.from({ length: WIRES - 2 }, (_, n) => n),
    async (n) => (await make(started, 'n1', 'a', n % 2 === 0 ? 'near' : 'far', n)).connection,
  );
  const addressOf = (connection: Connection): string =>
    connection.context!.ipContext!.dstIpAddrs[0]!.split('/')[0]!;
  const pods = ['a', 'nse-near', 'nse-far'];
  const links = () => pods.map((pod) => withRtnetlink(started.lab.netns(pod), listLinks));
  const before = links();
  const programmed = await started.links('a');
  expect(before.map((each) => each.length)).toEqual([WIRES + 1, WIRES / 2 + 1, WIRES / 2 + 1]);

  for (const killed of [['forwarder-n1'], ['forwarder-n2'], ['forwarder-n1', 'forwarder-n2']]) {
    const stream = startStream(started.lab, 'a', made.slice(0, 6).map(addressOf));
    for (const name of killed) await started.kill(name);
    for (const name of killed) await started.start(name);
    let streamed: Awaited<ReturnType<typeof stream.stop>>;
    try {
      made = await together(made, (connection) =>
        persist(() => refresh(started, 'n1', connection)),
      );
    } finally {
      streamed = await stream.stop();
    }
    for (const { lost, errors } of streamed)
      expect({ killed, lost, errors }).toEqual({ killed, lost: 0, errors: [] });
    // Indexes are in them.
    expect(links()).toEqual(before);
  }
  expect(await started.links('a')).toEqual(programmed);
});

test('an endpoint that is killed and starts again has what its wires have for their clients, whoever asks first', async () => {
  const started = await startNetns(
    twoNodes('rend', '  a: { node: n1, services: [kernel://near/nsm-1] }'),
  );
  world = started;
  await started.connected('a');
  const links = () => Promise.all(['a', 'nse-near'].map(started.links));
  const before = await links();
  await started.kill('a');
  await started.kill('nse-near');
  await started.start('nse-near');
  const { connection } = await persist(() => make(started, 'n1', 'a', 'near', 1));
  const [wire] = await started.wires();
  expect(connection.context?.ipContext?.dstIpAddrs).not.toEqual(wire?.endpointAddresses);
  await unmake(started, 'n1', [{ connection, ms: 0 }]);
  await started.start('a');
  await eventually(
    () => started.refreshes('a'),
    (count) => count > 0,
  );
  expect(await links()).toEqual(before);
});
