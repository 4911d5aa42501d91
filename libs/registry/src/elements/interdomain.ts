import type { RegistryElement } from '../call.ts';
import type { KindClient } from '../client.ts';
import type { Find } from '../find.ts';
import type { Entry } from '../kind.ts';

/** The registry that reaches other domains: that of a nsmgr-proxy. */
export type ProxyRegistry<T extends Entry> = Pick<
  KindClient<T>,
  'kind' | 'register' | 'unregister' | 'stream'
>;

/** `name@domain`, of a record or of a service that an endpoint offers, is of another domain (contract 6.8). */
const isForeign = <T extends Entry>({ kind }: ProxyRegistry<T>, entry: T): boolean =>
  [entry.name, ...kind.groups(entry)].some((name) => name.includes('@'));

/** What is of another domain is registered there, through the proxy, and not kept here (conformance 96). */
export const interdomain = <T extends Entry>(proxy: ProxyRegistry<T>): RegistryElement<T> => ({
  name: 'interdomain',
  run: async (call, next) => {
    const { op, entry, path, signal, deadline } = call;
    if (!isForeign(proxy, entry)) return next(call);
    if (op === 'register') return proxy.register(entry, { path, signal, deadline });
    await proxy.unregister(entry, { path, signal, deadline });
    return { entry, path };
  },
});

/** Find that asks the proxy for what is of another domain. */
export const findInterdomain =
  <T extends Entry>(proxy: ProxyRegistry<T>, local: Find<T>): Find<T> =>
  (query, options) =>
    isForeign(proxy, query) ? proxy.stream(query, options.watch, options) : local(query, options);
