import type { Mark } from '../alias.ts';
import { PlanError } from '../check.ts';
import { codeOf } from '../error.ts';
import { type Plan, samePlan, sameWire, type Wireguard } from '../plan.ts';
import type { Reconciled } from '../reconcile.ts';
import type { Thread } from '../thread.ts';
import type { WireguardDevices } from './devices.ts';
import type { KeyPair } from './key.ts';

/** A process may end between our look at it and the move of its interface: then it is started again, this often. */
const ATTEMPTS = 3;

/** See `Datapath`, whose plans these carry out. */
interface Wires {
  readonly ensure: (plan: Plan, was?: Plan) => Promise<Reconciled>;
  readonly remove: (plan: Plan) => Promise<void>;
}

/**
 * Wires for a kernel thread, which finds the devices of WireGuard plans ready to be moved. Starting a process takes as long as
 * a hundred veths: it is awaited here, so that the thread goes on with other wires.
 */
export function createWireguardWires(
  thread: Pick<Thread, 'run'>,
  devices: WireguardDevices | undefined,
): Wires {
  const program = (plan: Plan, was: Plan | undefined, keys?: KeyPair): Promise<Reconciled> =>
    thread.run({
      job: 'ensure',
      plan,
      ...(was === undefined ? {} : { was: samePlan(plan, was) ? 'same' : was }),
      ...(keys === undefined ? {} : { keys }),
    });

  const remove = async (plan: Plan): Promise<void> => {
    // Out of service first, and at once; its process may take its time.
    await thread.run({ job: 'remove', plan });
    if (plan.link.kind === 'wireguard') await devices?.end(markOf(plan, plan.link));
  };

  const ensureDevice = async (
    plan: Plan,
    link: Wireguard,
    was: Plan | undefined,
  ): Promise<Reconciled> => {
    if (devices === undefined)
      throw new PlanError(
        'mechanism',
        'there is no WireGuard on this node: load the module wireguard or install wireguard-go, or use VXLAN',
      );
    const mark = markOf(plan, link);
    for (let attempt = 1; ; attempt += 1) {
      const ready = await devices.ensure(mark, link);
      if ('keys' in ready) return program(plan, was, ready.keys);
      try {
        return await program(plan, was);
      } catch (error) {
        const lost = codeOf(error) === 'ENODEV';
        if (ready.made || lost) await devices.end(mark);
        if (!lost || attempt === ATTEMPTS) throw error;
      }
    }
  };

  return {
    remove,
    ensure: async (plan, was) => {
      const { link } = plan;
      if (link.kind !== 'wireguard' && was?.link.kind !== 'wireguard') return program(plan, was);
      // A device cannot be taken from a wire that waits to be deleted: another wire has another device.
      const gone = was !== undefined && !sameWire(plan, was);
      if (gone) await remove(was);
      const before = gone ? undefined : was;
      return link.kind === 'wireguard' ? ensureDevice(plan, link, before) : program(plan, before);
    },
  };
}

const markOf = ({ id, owner }: Plan, { side }: Wireguard): Mark => ({
  id,
  side,
  ...(owner === undefined ? {} : { owner }),
});
