import type { NetworkService } from '@nsm/proto';
import type { Discovery, LookupOptions } from '@nsm/registry';

/** The service a connection asks for; undefined: not registered. */
export async function serviceOf(
  discovery: Discovery,
  name: string,
  payload: string,
  options: LookupOptions,
): Promise<NetworkService | undefined> {
  const found = await discovery.services({ name, ...(payload !== '' && { payload }) }, options);
  return found.find((service) => service.name === name);
}
