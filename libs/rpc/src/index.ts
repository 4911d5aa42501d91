export { errorCodes, NsmError, wrapped } from './error.ts';
export type { ErrorCode, ErrorFields } from './error.ts';
export { createGrpcTransport } from './grpc.ts';
export { createMemoryTransport } from './memory.ts';
export { namingElements } from './naming.ts';
export { versionLine } from './version.ts';
export { service } from './transport.ts';
export type {
  CallOptions,
  Client,
  Dialer,
  Implementation,
  Listener,
  ServerContext,
  Service,
  ServiceDefinition,
  Transport,
} from './transport.ts';
