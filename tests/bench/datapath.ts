// What wires cost and carry, against the same wires made by hand in the same run: npm run bench -- datapath [cost] [crowd] [packets]
import { createInlineWires, type Plan, whyNoWireguard } from '@nsm/datapath';
import { type Carriers, roundTrip, startCarriers } from './lib/carry.ts';
import { fill } from './lib/crowd.ts';
import { type Pair, vethPair, vxlanPair, wireguardPair } from './lib/links.ts';
import type { Place } from './lib/places.ts';
import { createStage, type Stage } from './lib/stage.ts';
import { median, table } from './lib/stats.ts';
import { toThread } from './lib/to-thread.ts';
import { handMade, inline, ours } from './lib/ways.ts';
import { measure, type Measured, ratio, STEPS } from './lib/wire-cost.ts';
import { ourWireguard, wireguardByHand } from './lib/wireguard-ways.ts';
import { vethPlan, vxlanPlan } from './lib/wires.ts';

const WIRES = 20;
/** The first do not count: programs that run for long have compiled what they run. */
const ROUNDS = { rounds: 25, wires: WIRES, warmUp: 60 };
const PROCESS_ROUNDS = { rounds: 7, wires: 5, warmUp: 1 };
const CROWD = { few: 10, many: 5_000 };
/** Many short ones: what else the machine does falls on both of a pair. */
const CARRY_ROUNDS = 45;
const CARRY_MS = 100;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const progress = (text: string): void => void process.stderr.write(`… ${text}\n`);
const numbered = (planOf: (n: number) => Plan): Plan[] =>
  Array.from({ length: WIRES }, (_, n) => planOf(n));

function rowsOf(kind: string, measured: Measured, one: string, other: string) {
  return STEPS.map((step) => {
    const [a, b] = [measured.get(one)?.[step], measured.get(other)?.[step]];
    const cells = (what: 'ms' | 'cpu'): number[] => {
      const [x, y] = [a?.[what] ?? [], b?.[what] ?? []];
      return [median(x), median(y), ratio(x, y)];
    };
    return [`${kind}, ${step}`, ...cells('ms'), ...cells('cpu')];
  });
}

/** Each kind of wire against the messages it takes. */
async function cost({ client, endpoint, wireguardGo }: Stage, wireguard: boolean): Promise<void> {
  const rows: (string | number)[][] = [];
  const [one, other] = [client.pod, endpoint.pod];
  const here = createInlineWires();
  for (const [kind, plans, pods] of [
    ['veth, IPv4', numbered((n) => vethPlan(one, other, n)), [one, other]],
    ['veth, IPv4 and IPv6', numbered((n) => vethPlan(one, other, n, true)), [one, other]],
    ['VXLAN', numbered((n) => vxlanPlan('client', one, n)), [one]],
  ] as const) {
    progress(`cost: ${kind}`);
    const wires = ours('ours', client.datapath, plans, one);
    const without = inline('inline', here, plans, one);
    const hand = handMade('hand', plans, pods, client.node);
    const measured = await measure([wires, without, hand], ROUNDS);
    rows.push(...rowsOf(kind, measured, 'ours', 'hand'));
    rows.push(...rowsOf(`${kind}, no thread`, measured, 'inline', 'hand'));
  }
  here.close();
  if (wireguard) {
    progress('cost: WireGuard');
    const wires = ourWireguard(client.datapath, client.devices, one);
    const hand = wireguardByHand(wireguardGo, one, client.node, PROCESS_ROUNDS.wires);
    const measured = await measure([wires, hand], PROCESS_ROUNDS);
    rows.push(...rowsOf('WireGuard', measured, 'ours', 'hand'));
  }
  const { ms, cpu } = await toThread(vethPlan(one, other, 0));
  rows.push(['a plan to a thread and back', ms, '', '', cpu, '', '']);
  say(
    table(
      'A wire, beside the same messages and settings by hand: ms, and ms of CPU of this process (medians of rounds in turn)',
      ['wire, step', 'ms', 'by hand', 'ratio', 'CPU', 'by hand', 'ratio'],
      rows,
    ),
  );
}

/** A wire among many interfaces against one among few. */
async function crowd({ places, client }: Stage): Promise<void> {
  const rows: (string | number)[][] = [];
  const [few, many] = [places.make('few'), places.make('many')];
  progress(`cost among ${CROWD.many} interfaces`);
  const empty = [fill(few, CROWD.few), fill(many, CROWD.many)];
  for (const [kind, ipv6] of [
    ['veth, IPv4', false],
    ['veth, IPv4 and IPv6', true],
  ] as const) {
    const among = (name: string, pod: Place) => {
      const plans = numbered((n) => vethPlan(client.pod, pod, n, ipv6));
      // Both ends of a pair go at once, and there are few links where the client is.
      return ours(name, client.datapath, plans, client.pod);
    };
    const measured = await measure([among('few', few), among('many', many)], ROUNDS);
    rows.push(...rowsOf(kind, measured, 'many', 'few'));
  }
  progress('taking them away');
  for (const away of empty) away();
  say(
    table(
      `A wire whose endpoint has ${CROWD.many} interfaces, beside one whose endpoint has ${CROWD.few}`,
      ['wire, step', 'ms', `among ${CROWD.few}`, 'ratio', 'CPU', `among ${CROWD.few}`, 'ratio'],
      rows,
    ),
  );
}

const figures = ({ gbit, cpu }: Awaited<ReturnType<Carriers['send']>>): number[] => [gbit, cpu];

/** A wire's packets against those of a link made by hand. */
async function carry(stage: Stage, wireguard: boolean): Promise<void> {
  const rows: (string | number)[][] = [];
  const { client, endpoint } = stage;
  const carriers = await startCarriers(client.pod, endpoint.pod);
  const compare = async (kind: string, pair: Pair): Promise<void> => {
    progress(`packets: ${kind}`);
    const measures: Record<string, (address: string) => Promise<number[]>> = {
      tcp: async (address) => figures(await carriers.send('tcp', address, CARRY_MS)),
      udp: async (address) => figures(await carriers.send('udp', address, CARRY_MS)),
      rtt: async (address) => [await roundTrip(client.pod, address)],
    };
    const names: Record<string, string[]> = {
      tcp: ['TCP, Gbit/s', 'TCP, s of CPU per GB'],
      udp: ['UDP, Gbit/s', 'UDP, s of CPU per GB'],
      rtt: ['RTT, µs'],
    };
    for (const [key, run] of Object.entries(measures)) {
      const samples: { wire: number[]; hand: number[] }[] = [];
      for (let round = -1; round < CARRY_ROUNDS; round += 1) {
        const both = { wire: [0], hand: [0] };
        const order = round % 2 === 0 ? (['wire', 'hand'] as const) : (['hand', 'wire'] as const);
        for (const which of order) both[which] = await run(pair[which]);
        if (round >= 0) samples.push(both);
      }
      for (const [i, name] of (names[key] ?? []).entries()) {
        const [wire, hand] = (['wire', 'hand'] as const).map((which) =>
          samples.map((sample) => sample[which][i] ?? Number.NaN),
        );
        rows.push([
          `${kind}: ${name}`,
          median(wire ?? []),
          median(hand ?? []),
          ratio(wire ?? [], hand ?? []),
        ]);
      }
    }
    await pair.end();
  };
  try {
    await compare('veth', await vethPair(stage));
    await compare('VXLAN', await vxlanPair(stage));
    if (wireguard) await compare('WireGuard', await wireguardPair(stage));
  } finally {
    await carriers.close();
  }
  say(
    table(
      `What a wire carries, beside the same link made by hand (medians of ${CARRY_ROUNDS} pairs of ${CARRY_MS} ms)`,
      ['link: measure', 'wire', 'by hand', 'ratio'],
      rows,
    ),
  );
}

const asked = process.argv.slice(2);
const wanted = (part: string): boolean => asked.length === 0 || asked.includes(part);
const stage = createStage();
try {
  const why = whyNoWireguard({ command: stage.wireguardGo });
  if (why !== undefined) say(`WireGuard is left out: ${why}`);
  if (wanted('cost')) await cost(stage, why === undefined);
  if (wanted('crowd')) await crowd(stage);
  if (wanted('packets')) await carry(stage, why === undefined);
} finally {
  await stage.close();
}
