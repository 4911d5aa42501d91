import { describe, expect, test } from '@jest/globals';
import { createVnis, type Vnis } from './vnis.ts';

const ALLOCATIONS = 1_000_000;
/** Tunnels that live at a time, of either direction. */
const LIVING = 2_000;
// A look into the global object is slow under jest, and this is done millions of times.
const { floor, imul } = Math;
const [A, B] = ['10.0.0.1', '10.0.0.2'];

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), 1 | state);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A node: its numbers, which a restart loses, and its kernel, which keeps its tunnels and refuses a number twice. */
function node(random: () => number) {
  const kernel = new Map<number, string>();
  let vnis = createVnis(random);
  return {
    vnis: (): Vnis => vnis,
    kernel,
    restart: () => {
      vnis = createVnis(random);
      for (const [vni, id] of kernel) vnis.reserve(vni, id);
    },
    /** The time to claim is over: what no refresh has claimed is gone. */
    sweep: (claimed: ReadonlySet<string>) => {
      for (const [vni, id] of [...kernel]) {
        vnis.unreserve(id);
        if (!claimed.has(id)) kernel.delete(vni);
      }
    },
    make: (vni: number, id: string) => {
      const holder = kernel.get(vni);
      if (holder !== undefined && holder !== id) throw new Error(`VNI ${vni} twice on a node`);
      kernel.set(vni, id);
    },
  };
}

describe('VNIs', () => {
  test('a million, over random restarts of both nodes, never collide', () => {
    const random = randomFrom(7);
    const nodes = { [A]: node(random), [B]: node(random) };
    /** Of all that were made and not picked to be closed. */
    const ids: string[] = [];
    const living = new Map<string, { vni: number; src: string; dst: string }>();
    let made = 0;

    /** The far node chooses, the near one agrees, both make it; where it is in use here, another is tried. */
    const connect = (id: string, src: string, dst: string): void => {
      for (;;) {
        const vni = nodes[dst]!.vnis().take(src, dst);
        // One number on each of two nodes.
        made += 2;
        if (nodes[src]!.vnis().claim(vni, id)) {
          nodes[src]!.make(vni, id);
          nodes[dst]!.make(vni, id);
          living.set(id, { vni, src, dst });
          ids.push(id);
          return;
        }
        nodes[dst]!.vnis().release(vni);
      }
    };
    const close = (id: string): void => {
      const { vni, src, dst } = living.get(id)!;
      living.delete(id);
      for (const each of [nodes[src]!, nodes[dst]!]) {
        each.vnis().release(vni);
        each.kernel.delete(vni);
      }
    };
    /** One node loses its memory. Refreshes come one by one, with new connections and the end of old ones in between. */
    const restart = (which: string, next: () => string): void => {
      nodes[which]!.restart();
      for (const [id, { vni }] of [...living]) {
        if (random() < 0.02) connect(next(), A, B);
        if (!nodes[which]!.vnis().claim(vni, id)) throw new Error(`${id} lost its VNI ${vni}`);
        if (random() < 0.01) close(id);
      }
      nodes[which]!.sweep(new Set(living.keys()));
    };

    let last = 0;
    const next = (): string => `c${(last += 1)}`;
    while (made < ALLOCATIONS) {
      const [src, dst] = random() < 0.5 ? [A, B] : [B, A];
      connect(next(), src, dst);
      while (living.size > LIVING) {
        const at = floor(random() * ids.length);
        const [id, lastId] = [ids[at]!, ids.pop()!];
        if (at < ids.length) ids[at] = lastId;
        if (living.has(id)) close(id);
      }
      if (random() < 0.000_1) restart(random() < 0.5 ? A : B, next);
    }
    expect(new Set([...living.values()].map(({ vni }) => vni)).size).toBe(living.size);
    expect(nodes[A]!.kernel.size).toBe(living.size);
    expect(nodes[B]!.kernel.size).toBe(living.size);
  });

  test('a number of a tunnel that is still there goes to its connection only', () => {
    const vnis = createVnis(() => 0.5);
    const taken = vnis.take(A, B);
    vnis.release(taken);
    vnis.reserve(taken, 'mine');
    expect(vnis.reservedFor('mine')).toBe(taken);
    expect(vnis.claim(taken, 'other')).toBe(false);
    expect(() => vnis.take(A, B)).toThrow('no free VNI');
    expect(vnis.claim(taken, 'mine')).toBe(true);
    vnis.release(taken);
    vnis.unreserve('mine');
    expect(vnis.claim(taken, 'other')).toBe(true);
  });
});
