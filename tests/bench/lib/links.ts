import type { Plan } from '@nsm/datapath';
import { byHand } from './by-hand.ts';
import type { Node, Stage } from './stage.ts';
import { endDevice, keyPair, makeByHand } from './wireguard-ways.ts';
import { farAddress, vethPlan, vxlanPlan, wireguardPlan } from './wires.ts';

/** Two links between the same pods: a wire of the mesh and one made by hand, by their far addresses. */
export interface Pair {
  readonly wire: string;
  readonly hand: string;
  end(): Promise<void>;
}

const [WIRE, HAND] = [1, 2];
const addresses = { wire: farAddress(WIRE), hand: farAddress(HAND) };

export async function vethPair({ client, endpoint }: Stage): Promise<Pair> {
  const plan = (n: number): Plan => vethPlan(client.pod, endpoint.pod, n);
  await client.datapath.ensure(plan(WIRE));
  const hand = byHand(plan(HAND), [client.pod.path, endpoint.pod.path], client.node.path);
  hand.create();
  return {
    ...addresses,
    end: async () => {
      await client.datapath.remove(plan(WIRE));
      hand.close();
    },
  };
}

export async function vxlanPair(stage: Stage): Promise<Pair> {
  const halves = (['client', 'endpoint'] as const).map((side) => {
    const { node, pod, datapath } = stage[side];
    const plan = vxlanPlan(side, pod, WIRE);
    const hand = byHand(vxlanPlan(side, pod, HAND), [pod.path], node.path);
    return { plan, datapath, hand };
  });
  for (const { plan, datapath, hand } of halves) {
    await datapath.ensure(plan);
    hand.create();
  }
  return {
    ...addresses,
    end: async () => {
      for (const { plan, datapath, hand } of halves) {
        await datapath.remove(plan);
        hand.close();
      }
    },
  };
}

export async function wireguardPair(stage: Stage): Promise<Pair> {
  const sides = ['client', 'endpoint'] as const;
  const of = ({ devices }: Node, side: (typeof sides)[number]) =>
    devices.identity({ id: `bench-${WIRE}-${side}`, side });
  const identities = {
    client: await of(stage.client, 'client'),
    endpoint: await of(stage.endpoint, 'endpoint'),
  };
  const keys = { client: keyPair(), endpoint: keyPair() };
  const port = { client: 46_001, endpoint: 46_002 };
  const byHandIdentities = {
    client: { publicKey: keys.client.publicKey, port: port.client },
    endpoint: { publicKey: keys.endpoint.publicKey, port: port.endpoint },
  };
  for (const side of sides) {
    const { pod, node, datapath } = stage[side];
    await datapath.ensure(wireguardPlan(side, pod, WIRE, identities));
    const plan = wireguardPlan(side, pod, HAND, byHandIdentities);
    const wire = { keys: keys[side], plan };
    await makeByHand(stage.wireguardGo, `hand-${side}`, wire, pod, node);
  }
  return {
    ...addresses,
    end: async () => {
      for (const side of sides) {
        const { pod, datapath } = stage[side];
        await datapath.remove(wireguardPlan(side, pod, WIRE, identities));
        await endDevice(`hand-${side}`);
      }
    },
  };
}
