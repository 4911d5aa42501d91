import type { Counters } from '@nsm/netlink';
import { isTombstone } from './alias.ts';
import { reap } from './bury.ts';
import { takeCensus } from './census.ts';
import { checkPlan } from './check.ts';
import type { Datapath } from './datapath.ts';
import { DatapathError } from './error.ts';
import { createFakeKernel, type FakeKernel } from './fake-kernel.ts';
import type { Change, Device } from './kernel.ts';
import { createReconciler } from './reconcile.ts';
import { showNamespaces } from './show.ts';
import { createWatch, type Disturbance } from './watch.ts';

/** A datapath over a kernel in memory, for tests of what is built on it. The reconciling is the real one. */
export interface FakeDatapath extends Datapath {
  /**
   * The state as `ip` commands, one per line. `labels` gives namespaces their names in the text and says which ones to show;
   * all of them by their reference when absent.
   */
  show(labels?: Readonly<Record<string, string>>): string[];
  /** The next call of `ensure`, `remove`, `discard` or `census` is refused with this code, before it does anything. */
  failNext(code: string, message?: string): void;
  /** Every change made so far, in order: `add-veth`, `set`, `address`, `no-route`, ... Asking twice must not add to it. */
  readonly operations: readonly string[];
  /** Sysctls written, by `<namespace> <path>`. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** Puts a link there that is not the mesh's. */
  addForeign(netns: string, name: string): void;
  /** `ip link set dev NAME down`, as a workload may do with its own interface. */
  takeDown(netns: string, name: string): void;
  /** `ip link delete dev NAME` by hand. */
  deleteLink(netns: string, name: string): void;
  /** `ip link set dev NAME name OTHER` by hand. */
  renameLink(netns: string, name: string, other: string): void;
  /** Lets a link have carried this. */
  carry(netns: string, name: string, counters: Partial<Counters>): void;
  /** Ends a namespace, as when its pod dies. */
  removeNetns(netns: string): void;
  /** Whether a packet from `netns` to `dst` would arrive: a route out, over a wire or tunnel whose other end is up and has `dst`. */
  reaches(netns: string, dst: string): boolean;
}

/** Where a fake datapath works. */
export interface FakeDatapathOptions {
  /** A kernel that several of them share, as the forwarders of several nodes do in a test of tunnels. @default one of its own */
  readonly kernel?: FakeKernel;
  /** Whose tunnels they are; the datapaths of one kernel differ in it. @default one node */
  readonly node?: string;
}

export { createFakeKernel, type FakeKernel };

/** A datapath in memory; removed links are reaped before the call returns. */
export function createFakeDatapath({
  kernel = createFakeKernel(),
  node,
}: FakeDatapathOptions = {}): FakeDatapath {
  const buried: string[] = [];
  const reconciler = createReconciler(node === undefined ? kernel : kernel.forNode(node), (netns) =>
    buried.push(netns),
  );
  let listener: (disturbance: Disturbance) => void = () => undefined;
  const watch = createWatch({
    onDisturbed: (disturbance) => listener(disturbance),
    soon: (action) => setImmediate(action),
  });
  kernel.onEvent((event) => watch.hear(event));
  let failure: DatapathError | undefined;

  const call = async <T>(run: () => T): Promise<T> => {
    const refused = failure;
    failure = undefined;
    if (refused !== undefined) throw refused;
    try {
      return run();
    } finally {
      for (const netns of buried.splice(0)) reap(kernel, netns);
    }
  };

  const byHand = (netns: string, name: string, change: (dev: Device) => Change): void => {
    const space = kernel.enter(netns);
    const dev = space.link(name);
    if (dev !== undefined) space.apply([change(dev)]);
  };

  return {
    ensure: (plan, was) =>
      call(() => {
        checkPlan(plan);
        const { nsids, ...ensured } = reconciler.ensure(plan, was);
        watch.expect(plan, nsids);
        return ensured;
      }),
    watch: (onDisturbed) => {
      listener = onDisturbed;
      return true;
    },
    remove: (plan) =>
      call(() => {
        checkPlan(plan);
        watch.forget(plan.id);
        reconciler.remove(plan);
      }),
    discard: (link) => call(() => reconciler.discard(link)),
    census: (options) => call(() => takeCensus(kernel, kernel.namespaces(), options)),
    close: async () => undefined,
    show: (labels) =>
      showNamespaces(
        kernel,
        labels ?? Object.fromEntries(kernel.namespaces().map((netns) => [netns, netns])),
      ),
    failNext: (code, message = `refused by the test (${code})`) => {
      failure = new DatapathError({ message, code, operation: '' });
    },
    operations: kernel.operations,
    sysctls: kernel.sysctls,
    addForeign: (netns, name) => {
      if (isTombstone(name)) throw new Error(`${name} is a name of removed links`);
      const space = kernel.enter(netns);
      const link = { name, index: kernel.newIndex(), mac: '02:00:00:00:00:ff' };
      const peer = { name: `${name}-peer`, index: kernel.newIndex(), mac: '02:00:00:00:00:fe' };
      space.apply([{ op: 'add-veth', link, peer, peerIn: kernel.home() }]);
    },
    takeDown: (netns, name) =>
      byHand(netns, name, (dev) => ({ op: 'set', dev, to: { up: false } })),
    deleteLink: (netns, name) => byHand(netns, name, (dev) => ({ op: 'delete', dev })),
    renameLink: (netns, name, other) =>
      byHand(netns, name, (dev) => ({ op: 'set', dev, to: { name: other } })),
    carry: (netns, name, counters) => kernel.carry(netns, name, counters),
    removeNetns: (netns) => kernel.removeNetns(netns),
    reaches: (netns, dst) => kernel.reaches(netns, dst),
  };
}
