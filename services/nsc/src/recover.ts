import { KERNEL, NETNS_URL, pathOf, type RequestUrl } from '@nsm/connection';
import {
  ConnectionEventType,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  type Connection,
} from '@nsm/proto';
import type { Dialer } from '@nsm/rpc';

export interface RecoverOptions {
  readonly dialer: Dialer;
  readonly managerUrl: string;
  readonly netns: string;
  readonly timeoutMs: number;
}

/**
 * The wire that an earlier process of this client left behind, as its manager knows it (contract 3.9): to be refreshed
 * instead of made a second time. Only one of this namespace counts: another client may have the same name.
 */
export async function recover(
  { dialer, managerUrl, netns, timeoutMs }: RecoverOptions,
  id: string,
  { service }: RequestUrl,
  signal: AbortSignal,
): Promise<Connection | undefined> {
  const monitor = dialer.client(MonitorConnectionDefinition, managerUrl);
  const selector = MonitorScopeSelector.fromPartial({ pathSegments: [{ id }] });
  for await (const { type, connections } of monitor.monitorConnections(selector, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })) {
    if (type !== ConnectionEventType.INITIAL_STATE_TRANSFER) continue;
    const mine = Object.values(connections).find(
      ({ path, mechanism, networkService }) =>
        path?.index === 1 &&
        path.pathSegments[0]?.id === id &&
        networkService === service &&
        mechanism?.type === KERNEL &&
        mechanism.parameters[NETNS_URL] === netns,
    );
    return mine && { ...mine, id, path: { ...pathOf(mine), index: 0 } };
  }
  return undefined;
}
