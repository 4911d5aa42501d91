import { slot } from '@nsm/chain';
import type { Mechanism } from '@nsm/proto';
import { NsmError, type ErrorCode } from '@nsm/rpc';
import { withConnection, type Call, type ConnectionElement, type ConnectionNext } from '../call.ts';
import { IP } from '../mechanism.ts';
import { ownSegment, pathOf, withSegment } from '../path.ts';
import { describeMechanism, whyNot } from './why-not.ts';

/** One way to realise a leg towards the caller. */
export interface ServedMechanism {
  readonly type: string;
  readonly cls: string;
  /** What it can carry (contract 4.1). @default any payload */
  readonly payloads?: readonly string[];
  /** Why it cannot be realised here, on this machine: every request for it is refused with this cause. */
  readonly refuses?: string;
  /**
   * Runs the rest of the chain with the mechanism's parameters completed in `call.connection.mechanism`, and returns the
   * answer with the mechanism as the caller shall see it. Throws where it cannot be realised: the next preference is tried.
   */
  run(call: Call, mechanism: Mechanism, next: ConnectionNext): ReturnType<ConnectionNext>;
}

/** The mechanism that was agreed with the caller; it stays for the life of the connection. */
const agreed = slot<Mechanism>('mechanisms');

/** What says nothing of the mechanism that was tried. */
const NOT_OF_IT: ReadonlySet<ErrorCode> = new Set([
  'cancelled',
  'deadline',
  'unavailable',
  'unauthenticated',
  'permission-denied',
]);

/** A mechanism that this machine cannot realise, and why. */
export const refusedMechanism = (type: string, cls: string, refuses: string): ServedMechanism => ({
  type,
  cls,
  refuses,
  run: () => Promise.reject(new NsmError('mechanism-unsupported', `${type}: ${refuses}`)),
});

/** Agrees with the caller on how its leg is realised (contract 3.12): what it has already, or the first preference that works. */
export const mechanisms = (...all: readonly ServedMechanism[]): ConnectionElement => ({
  name: 'mechanisms',
  async run(call, next) {
    const { mechanism } = call.connection;
    const served = all.filter(({ refuses }) => refuses === undefined);
    const causes = Object.fromEntries(
      all.flatMap(({ type, refuses }) => (refuses === undefined ? [] : [[type, refuses]])),
    );
    const find = ({ type, cls }: Mechanism): ServedMechanism | undefined =>
      served.find((s) => s.type === type && (cls === '' || s.cls === cls));
    const realise = async (chosen: ServedMechanism, wanted: Mechanism) => {
      checkPayload(chosen, call.connection.payload, served);
      const answer = await chosen.run(withConnection(call, { mechanism: wanted }), wanted, next);
      if (answer.mechanism) call.scope.keep(agreed, answer.mechanism);
      return named(answer);
    };
    if (mechanism && mechanism.type !== '') {
      const chosen = find(mechanism);
      if (!chosen) throw unsupported(`unsupported mechanism: ${whyNot(mechanism, causes)}`, served);
      const before = call.scope.get(agreed);
      if (before && before.type !== mechanism.type)
        throw new NsmError(
          'mechanism-unsupported',
          `connection.mechanism.type: the connection has ${before.type} and asks for ${mechanism.type}`,
          {
            hint: 'a connection changes its mechanism by reselection only: set state RESELECT_REQUESTED',
          },
        );
      return realise(chosen, mechanism);
    }
    const failures: NsmError[] = [];
    for (const preference of call.preferences) {
      const chosen = find(preference);
      if (!chosen) continue;
      try {
        return await realise(chosen, preference);
      } catch (err) {
        const failure = NsmError.from(err);
        failures.push(failure);
        // Who took another mechanism because somebody was away for a moment would make the wire anew.
        if (NOT_OF_IT.has(failure.code)) break;
      }
    }
    const [only] = failures;
    if (only && failures.length === 1) throw only;
    const offered = call.preferences.map((m) => whyNot(m, causes)).join(', ');
    if (!only)
      throw unsupported(
        `cannot support any of the requested mechanism: ${offered === '' ? 'mechanism_preferences is empty' : offered}`,
        served,
      );
    throw new NsmError(
      only.code,
      `cannot support any of the requested mechanism: ${failures.map(({ message }) => message).join('; ')}`,
      only.fields(new AggregateError(failures)),
    );
  },
});

/** Upstream lets such a request pass without a data path (contract 4.1). */
function checkPayload(
  { type, payloads }: ServedMechanism,
  asked: string,
  served: readonly ServedMechanism[],
): void {
  const payload = asked === '' ? IP : asked;
  if (payloads === undefined || payloads.includes(payload)) return;
  throw unsupported(
    `${type} cannot carry the payload ${payload}: it carries ${payloads.join(' and ')}`,
    served.filter(({ payloads: other }) => other?.includes(payload) !== false),
  );
}

const unsupported = (message: string, served: readonly ServedMechanism[]): NsmError =>
  new NsmError('mechanism-unsupported', message, {
    hint: `supported here: ${served.map(describeMechanism).join(', ')}`,
  });

/** The segment metric that names the interface towards the caller (contract 8.2). */
function named(answer: Awaited<ReturnType<ConnectionNext>>): typeof answer {
  const segment = ownSegment(answer);
  const { mechanism } = answer;
  if (!segment || !mechanism || segment.metrics['server_interface'] !== undefined) return answer;
  const metrics = {
    ...segment.metrics,
    server_interface: `${mechanism.type}/${mechanism.parameters['name'] ?? 'unknown'}`,
  };
  return withSegment(answer, pathOf(answer).index, { metrics });
}
