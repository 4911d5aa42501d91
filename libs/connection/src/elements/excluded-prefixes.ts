import { ConnectionContext, IPContext } from '@nsm/proto';
import { withConnection, type ConnectionElement } from '../call.ts';

/**
 * Tells endpoints which prefixes this node uses already (contract 3.7). `current` is asked at each request. The IP context is there
 * even when it is empty: upstream's endpoints count on their manager for that, and end themselves where it is missing.
 */
export const excludedPrefixes = (current: () => readonly string[]): ConnectionElement => ({
  name: 'excluded-prefixes',
  run(call, next) {
    const context = call.connection.context ?? ConnectionContext.create();
    const ipContext = context.ipContext ?? IPContext.create();
    const all = [...new Set([...ipContext.excludedPrefixes, ...current()])];
    return next(
      withConnection(call, {
        context: { ...context, ipContext: { ...ipContext, excludedPrefixes: all } },
      }),
    );
  },
});
