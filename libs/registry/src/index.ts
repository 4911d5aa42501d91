export { createRegistryCache } from './cache.ts';
export type { KindCache, RegistryCache } from './cache.ts';
export { answer, withEntry } from './call.ts';
export type { Registered, RegistryCall, RegistryElement, RegistryNext } from './call.ts';
export { registryClient } from './client.ts';
export type {
  KindClient,
  RegisterOptions,
  RegistryClient,
  RegistryClientOptions,
} from './client.ts';
export { discoveryOf } from './discovery.ts';
export type { Discovery, LookupOptions } from './discovery.ts';
export { authorize } from './elements/authorize.ts';
export { checkEndpoint, checkService } from './elements/check-entry.ts';
export { clientInfo } from './elements/client-info.ts';
export { expire } from './elements/expire.ts';
export type { ExpireOptions } from './elements/expire.ts';
export { findInterdomain, interdomain } from './elements/interdomain.ts';
export { keep, restoreFrom } from './elements/keep.ts';
export { limitEntries } from './elements/limit-entries.ts';
export { setPayload } from './elements/set-payload.ts';
export { setRegistrationTime } from './elements/set-registration-time.ts';
export { updatePath } from './elements/update-path.ts';
export type { Change, Subscription } from './feed.ts';
export { findIn } from './find.ts';
export type { Find, FindOptions } from './find.ts';
export { serveRegistryFront } from './front.ts';
export type { FrontEvent, RegistryFront, RegistryFrontOptions } from './front.ts';
export { keepRegistered } from './keep-registered.ts';
export type { Keeper, KeepOptions } from './keep-registered.ts';
export { endpointKind, serviceKind } from './kind.ts';
export type { Entry, Kind } from './kind.ts';
export {
  labelsFor,
  matchEndpoint,
  matchesEndpointQuery,
  matchesServiceQuery,
  subset,
} from './matching.ts';
export { createMemoryStore } from './memory-store.ts';
export { begin, createRegistrations } from './registrations.ts';
export type { LeaveOptions, Registrations, RegistrationsOptions } from './registrations.ts';
export type { RegistryPath } from './registry-path.ts';
export { serveRegistry } from './serve.ts';
export type { RegistryHalf, RegistryOutcome, ServeRegistryOptions } from './serve.ts';
export { openSqliteStores } from './sqlite-store.ts';
export type { Store, Stores } from './store.ts';
export { render } from './template.ts';
export type { WatchEvent } from './watch.ts';
