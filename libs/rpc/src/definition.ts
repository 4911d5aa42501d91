import type { ServiceDefinition as ServerDefinition } from '@grpc/grpc-js';
import type { ServiceDefinition as ClientDefinition } from 'nice-grpc';
import { BEAT, encodeBeat, isBeat } from './beat.ts';
import type { ServiceDefinition } from './transport.ts';

/** Stands for a message that could not be decoded, so that a handler can answer with a status of ours. */
export class Malformed {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A service as both halves of the gRPC library want it. Undecodable requests become {@link Malformed} instead of INTERNAL. */
export function grpcDefinition(definition: ServiceDefinition): ClientDefinition & ServerDefinition {
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const encode = (message: unknown): Buffer =>
      bufferOf(
        message === BEAT ? encodeBeat() : method.responseType.encode(message as never).finish(),
      );
    return [
      key,
      {
        path: `/${definition.fullName}/${method.name}`,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: (message: never) => bufferOf(method.requestType.encode(message).finish()),
        requestDeserialize: (bytes: Uint8Array) => {
          try {
            return method.requestType.decode(bytes);
          } catch (err) {
            return new Malformed(Error.isError(err) ? err.message : String(err));
          }
        },
        responseSerialize: method.responseStream ? once(encode) : encode,
        responseDeserialize: (bytes: Uint8Array) =>
          method.responseStream && isBeat(bytes) ? BEAT : method.responseType.decode(bytes),
        options: {},
      },
    ];
  });
  return Object.fromEntries(methods) as ClientDefinition & ServerDefinition;
}

/** Encodes each message once: many streams may send the same. */
function once(encode: (message: unknown) => Buffer): (message: unknown) => Buffer {
  const known = new WeakMap<object, Buffer>();
  return (message) => {
    if (typeof message !== 'object' || message === null) return encode(message);
    const bytes = known.get(message) ?? encode(message);
    known.set(message, bytes);
    return bytes;
  };
}

/** The same bytes as the server half wants them. */
const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
