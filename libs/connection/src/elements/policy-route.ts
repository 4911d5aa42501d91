import { ConnectionContext, IPContext, type PolicyRoute } from '@nsm/proto';
import { withConnection, type ConnectionElement } from '../call.ts';

/**
 * Gives a client the endpoint's policy routes, and the addresses they are for (contract 3.13, policyroute). `current` is asked at
 * each request, so that a refresh brings what has changed; those the request came with are the ones given before.
 */
export const policyRoute = (current: () => readonly PolicyRoute[]): ConnectionElement => ({
  name: 'policy-route',
  run(call, next) {
    const policies = current();
    const context = call.connection.context ?? ConnectionContext.create();
    const ipContext = context.ipContext ?? IPContext.create();
    if (policies.length === 0 && ipContext.policies.length === 0) return next(call);
    const before = new Set(ipContext.policies.map(({ from }) => from));
    const srcIpAddrs = [
      ...ipContext.srcIpAddrs.filter((address) => !before.has(address)),
      ...policies.map(({ from }) => from).filter((from) => from !== ''),
    ];
    return next(
      withConnection(call, {
        context: {
          ...context,
          ipContext: {
            ...ipContext,
            srcIpAddrs: [...new Set(srcIpAddrs)],
            policies: policies.map((policy) => ({ ...policy })),
          },
        },
      }),
    );
  },
});
