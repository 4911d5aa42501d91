export { createRegistry } from './chain.ts';
export type { RegistryDeps } from './chain.ts';
export { settings as registrySettings } from './config.ts';
