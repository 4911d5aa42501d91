import { slot, type Scope } from '@nsm/chain';
import {
  DatapathError,
  PlanError,
  planFrom,
  type Datapath,
  type Ensured,
  type Plan,
} from '@nsm/datapath';
import type { Connection } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { measured } from '../wire-metrics.ts';

const wire = slot<Plan>('cross-connect');

/** What a connection holds in the kernel of this node; undefined: nothing. */
export const wireOf = (scope: Scope): Plan | undefined => scope.get(wire);

export interface CrossConnectOptions {
  readonly datapath: Pick<Datapath, 'ensure' | 'remove'>;
  /** The forwarder's name: several may share a machine. */
  readonly owner: string;
  /** MTU of the link that carries tunnels, in octets. */
  readonly underlayMtu: number;
  /** The link of this node that leads to the physical network of an answered VLAN. @default none */
  readonly networkOf?: (answer: Connection) => string | undefined;
}

/**
 * Joins the two legs in the kernel once both are agreed: what the caller has is in `call.connection.mechanism`, what the
 * next hop has in the answer. The answer's segment tells what the wire has carried (contract 8.2).
 */
export const crossConnect = ({
  datapath,
  owner,
  underlayMtu,
  networkOf = () => undefined,
}: CrossConnectOptions): ConnectionElement => ({
  name: 'cross-connect',
  async run(call, next) {
    const answer = await next(call);
    const node = { owner, underlay: { mtu: underlayMtu }, network: networkOf(answer) };
    const plan = planOf(call.connection, answer, node);
    const { counters } = await join(call.scope, plan, datapath);
    return measured(answer, counters);
  },
});

/** Apart from the run, whose call would live as long as the undo. */
async function join(
  scope: Scope,
  plan: Plan,
  datapath: CrossConnectOptions['datapath'],
): Promise<Ensured> {
  const was = scope.get(wire);
  scope.hold(
    wire,
    plan,
    () => datapath.remove(plan),
    async (before) => {
      await datapath.ensure(before, plan);
    },
  );
  try {
    return await datapath.ensure(plan, was);
  } catch (err) {
    throw kernelError(err);
  }
}

/** What the wire of a connection depends on besides the connection. */
interface NodeFacts {
  readonly owner: string;
  readonly underlay: { readonly mtu: number };
  readonly network: string | undefined;
}

function planOf(asked: Connection, answer: Connection, { network, ...node }: NodeFacts): Plan {
  const payload = asked.payload === '' ? answer.payload : asked.payload;
  const { id, context } = answer;
  try {
    return planFrom({
      ...node,
      ...(network === undefined ? {} : { network }),
      id,
      context,
      payload,
      client: asked.mechanism,
      endpoint: answer.mechanism,
    });
  } catch (err) {
    throw kernelError(err);
  }
}

function kernelError(err: unknown): unknown {
  if (err instanceof PlanError)
    return new NsmError('invalid-argument', err.message, { cause: err });
  if (!(err instanceof DatapathError)) return err;
  if (err.code === 'EEXIST')
    return new NsmError('conflict', err.message, {
      cause: err,
      hint: 'ask for another interface name, or remove the interface that has it',
    });
  if (err.code === 'EADDRINUSE' || err.code === 'ENOKEY')
    return new NsmError('conflict', err.message, {
      cause: err,
      hint: 'ask again: another port and key are chosen',
    });
  if (err.code === 'ENOENT')
    return new NsmError('not-found', err.message, {
      cause: err,
      hint: 'the workload is gone, or its namespace cannot be seen from the forwarder',
    });
  if (err.code === 'EPERM')
    return new NsmError('kernel', err.message, {
      cause: err,
      hint: 'the forwarder needs CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_SYS_PTRACE',
    });
  return new NsmError('kernel', err.message, { cause: err });
}
