import type { NetworkService } from '@nsm/proto';
import { withEntry, type RegistryElement } from '../call.ts';

/** A service without a payload carries IP (contract 6.3). */
export const setPayload = (): RegistryElement<NetworkService> => ({
  name: 'set-payload',
  run: (call, next) => next(call.entry.payload === '' ? withEntry(call, { payload: 'IP' }) : call),
});
