import { AsyncLocalStorage } from 'node:async_hooks';
import type { Trace } from '@nsm/chain';
import type { Logger } from './log.ts';

/**
 * Logs, at level debug, how long each element of a chain took: `ms` with all that is below it, `ownMs` without. Costs
 * nothing at other levels.
 */
export function traceElements(log: Logger): Trace {
  const around = new AsyncLocalStorage<{ below: number }>();
  const timed: Trace = async (element, body) => {
    const above = around.getStore();
    const mine = { below: 0 };
    const started = performance.now();
    try {
      return await around.run(mine, body);
    } finally {
      const ms = performance.now() - started;
      if (above) above.below += ms;
      log.debug({ element, ms, ownMs: ms - mine.below }, 'element');
    }
  };
  return (element, body) => (log.isLevelEnabled('debug') ? timed(element, body) : body());
}
