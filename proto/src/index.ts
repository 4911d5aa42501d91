/** The protocol: messages as plain objects with their codecs, and service definitions. Generated from files/**.proto. */
export {
  Connection,
  ConnectionEvent,
  ConnectionEventType,
  Mechanism,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  Path,
  PathSegment,
  State,
} from './gen/connection/connection.ts';
export {
  ConnectionContext,
  DNSConfig,
  DNSContext,
  EthernetContext,
  IPContext,
  IpNeighbor,
  PolicyRoute,
  Route,
} from './gen/connectioncontext/connectioncontext.ts';
export { Any } from './gen/google/protobuf/any.ts';
export { Empty } from './gen/google/protobuf/empty.ts';
export { Timestamp } from './gen/google/protobuf/timestamp.ts';
export { ErrorInfo } from './gen/google/rpc/error_details.ts';
export { Status } from './gen/google/rpc/status.ts';
export {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthDefinition,
} from './gen/grpc/health/v1/health.ts';
export { Event, ObserverDefinition, ObserveRequest } from './gen/observe/observe.ts';
export {
  NetworkServiceDefinition,
  NetworkServiceRequest,
} from './gen/networkservice/networkservice.ts';
export {
  Destination,
  Match,
  Metadata,
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointQuery,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceEndpointResponse,
  NetworkServiceLabels,
  NetworkServiceQuery,
  NetworkServiceRegistryDefinition,
  NetworkServiceResponse,
} from './gen/registry/registry.ts';
export {
  SpiffeWorkloadAPIDefinition,
  X509BundlesResponse,
  X509SVIDResponse,
} from './gen/spiffe/workload.ts';
export { descriptorSet } from './gen/descriptor-set.ts';
