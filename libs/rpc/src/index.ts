export type { Descriptors } from './descriptors.ts';
export { errorCodes, NsmError, wrapped } from './error.ts';
export type { ErrorCode, ErrorFields } from './error.ts';
export { createGrpcTransport } from './grpc.ts';
export { defaultLimits, limitNames } from './limits.ts';
export type { LimitName, Limits } from './limits.ts';
export type { Identity, IdentitySource, Peer } from './identity.ts';
export { createMemoryTransport } from './memory.ts';
export { isPassed } from './passed-sockets.ts';
export type { PassedSockets } from './passed-sockets.ts';
export { namingElements } from './naming.ts';
export { buildOf, versionLine } from './version.ts';
export { service } from './transport.ts';
export { peerOf, spiffeIdOf, trustDomainOf } from './tls-peer.ts';
export type {
  CallOptions,
  Client,
  Dialer,
  HeadersFor,
  Implementation,
  Listener,
  ListenOptions,
  ServerContext,
  Service,
  ServiceDefinition,
  Transport,
} from './transport.ts';
