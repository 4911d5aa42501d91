import type { PathSegment } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import type { ConnectionElement } from '../call.ts';
import { pathOf } from '../path.ts';

/**
 * Finds or makes this hop's segment in the path (contract 2.2), and gives the caller its own id and index back. What
 * stands below sees `connection.id` and `path.index` of this hop.
 */
export const updatePath = (name: string, newId: () => string): ConnectionElement => ({
  name: 'update-path',
  async run(call, next) {
    const { connection } = call;
    const { index, pathSegments } = pathOf(connection);
    const origin = pathSegments.length === 0;
    const callerIndex = origin ? 0 : index;
    const caller = pathSegments[callerIndex];
    if (!origin && index + 1 > pathSegments.length)
      throw invalid(
        `Path.Index+1==${index + 1} should be less or equal len(Path.PathSegments)==${pathSegments.length}`,
      );
    // A client and a server of the same process share one segment (case B).
    const mine = origin || caller?.name === name ? callerIndex : callerIndex + 1;
    if (caller && mine !== callerIndex && caller.id !== connection.id)
      throw invalid(
        `Current PathSegment.Id==${caller.id} should be equal Connection.Id==${connection.id}`,
      );
    const known = pathSegments[mine];
    const id =
      known?.name === name ? known.id : origin && connection.id !== '' ? connection.id : newId();
    const segment: PathSegment = { ...(known ?? EMPTY), name, id };
    const path = { index: mine, pathSegments: pathSegments.toSpliced(mine, 1, segment) };
    const answer = await next({ ...call, connection: { ...connection, id, path } });
    const answered = pathOf(answer);
    return {
      ...answer,
      id: answered.pathSegments[callerIndex]?.id ?? id,
      path: { ...answered, index: callerIndex },
    };
  },
});

const EMPTY: PathSegment = { name: '', id: '', token: '', expires: undefined, metrics: {} };

const invalid = (message: string): NsmError =>
  new NsmError('invalid-argument', message, {
    hint: 'send the path of the last response, with the index of the sender',
  });
