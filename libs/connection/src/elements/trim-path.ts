import type { ConnectionElement } from '../call.ts';
import { pathOf } from '../path.ts';

/** The path ends here: segments of hops that an earlier, longer path had are cut (contract 2.3). */
export const trimPath = (): ConnectionElement => ({
  name: 'trim-path',
  async run(call, next) {
    const answer = await next(call);
    const path = pathOf(answer);
    return {
      ...answer,
      path: { ...path, pathSegments: path.pathSegments.slice(0, path.index + 1) },
    };
  },
});
