import { slot } from '@nsm/chain';
import { withConnection, type ConnectionElement } from '../call.ts';

/** Name of the endpoint behind, as it was last answered. */
const behind = slot<string>('pass-through');

/**
 * The way on from an endpoint that others stand behind (contract 3.13, passthrough): asks for the same service with the endpoint's own
 * labels, by which the rules of the service lead to the next one, and by its name once there was one. The caller sees neither.
 */
export const passThrough = (own: Readonly<Record<string, string>>): ConnectionElement => ({
  name: 'pass-through',
  async run(call, next) {
    const { labels, networkServiceEndpointName } = call.connection;
    const answer = await next(
      withConnection(call, {
        labels: { ...own },
        networkServiceEndpointName: call.scope.get(behind) ?? '',
      }),
    );
    call.scope.keep(behind, answer.networkServiceEndpointName);
    return { ...answer, labels, networkServiceEndpointName };
  },
});
