import { millis } from '@nsm/identity';
import { matchEndpoint, type Discovery } from '@nsm/registry';
import type { Clock } from '@nsm/chain';
import { NsmError } from '@nsm/rpc';
import { withConnection, type ConnectionElement } from '../call.ts';
import { serviceOf } from '../discovery.ts';

/**
 * Finds the endpoints a connection may go to (contract 3.11): the one it names, or those that match its labels by the
 * rules of its service. Hands them on as candidates, in order.
 */
export const discover = (discovery: Discovery, clock: Clock): ConnectionElement => ({
  name: 'discover',
  async run(call, next) {
    const {
      networkService: service,
      networkServiceEndpointName: named,
      payload,
      labels,
    } = call.connection;
    if (named !== '') {
      const found = (await discovery.endpoints({ name: named }, call)).filter(
        ({ name }) => name === named,
      );
      if (found.length === 0)
        throw new NsmError('not-found', `network service endpoint ${named} not found`, {
          hint: 'the endpoint is gone: ask again without its name to get another one',
        });
      return next({ ...call, candidates: found.slice(0, 1) });
    }
    const registered = await serviceOf(discovery, service, payload, call);
    if (!registered)
      throw new NsmError('not-found', `network service ${service} is not found`, {
        hint: 'see what is registered: nsm get services',
      });
    const all = await discovery.endpoints({ networkServiceNames: [service] }, call);
    const alive = all.filter(
      ({ expirationTime }) => !expirationTime || millis(expirationTime) > clock.now(),
    );
    const candidates = matchEndpoint(labels, registered, alive);
    if (candidates.length === 0)
      throw new NsmError(
        'no-candidate',
        `network service endpoint candidates not found: ${reason(service, all.length, alive.length)}`,
        {
          hint: 'see the endpoints and their labels: nsm get endpoints -o wide',
        },
      );
    return next({ ...withConnection(call, { payload: registered.payload }), candidates });
  },
});

function reason(service: string, all: number, alive: number): string {
  if (all === 0) return `no endpoint offers ${service}`;
  if (alive === 0) return `all ${all} endpoints of ${service} have expired`;
  return `none of the ${alive} endpoints of ${service} matches the labels of the request by the rules of the service`;
}
