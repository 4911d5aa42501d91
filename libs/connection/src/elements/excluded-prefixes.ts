import { ConnectionContext, IPContext } from '@nsm/proto';
import { withConnection, type ConnectionElement } from '../call.ts';

/** Tells endpoints which prefixes this node uses already (contract 3.7). `current` is asked at each request. */
export const excludedPrefixes = (current: () => readonly string[]): ConnectionElement => ({
  name: 'excluded-prefixes',
  run(call, next) {
    const ours = current();
    if (ours.length === 0) return next(call);
    const context = call.connection.context ?? ConnectionContext.create();
    const ipContext = context.ipContext ?? IPContext.create();
    const all = [...new Set([...ipContext.excludedPrefixes, ...ours])];
    return next(
      withConnection(call, {
        context: { ...context, ipContext: { ...ipContext, excludedPrefixes: all } },
      }),
    );
  },
});
