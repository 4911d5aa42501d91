import { descriptorSet } from '@nsm/proto';
import type { CallContext, ServiceDefinition } from 'nice-grpc';

const raw = (bytes: Uint8Array): Uint8Array => bytes;

const definition = (version: 'v1' | 'v1alpha'): ServiceDefinition => ({
  serverReflectionInfo: {
    path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    requestStream: true,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
    options: {},
  },
});

/** Server reflection under both names it goes by; their messages are the same. */
export const reflectionDefinitions = [definition('v1'), definition('v1alpha')];

/**
 * Answers what services there are. The library and the runtime it needs are loaded by the first question: nearly all
 * processes are never asked, and would carry 10 MiB for it.
 */
export const reflection = (names: readonly string[]) => ({
  async *serverReflectionInfo(
    requests: AsyncIterable<Uint8Array>,
    context: CallContext,
  ): AsyncGenerator<Uint8Array> {
    const { ServerReflection, ServerReflectionService } =
      await import('nice-grpc-server-reflection');
    const { requestDeserialize, responseSerialize } = ServerReflectionService.serverReflectionInfo;
    const { serverReflectionInfo } = ServerReflection(descriptorSet, names);
    async function* decoded() {
      for await (const request of requests) yield requestDeserialize(Buffer.from(request));
    }
    for await (const response of serverReflectionInfo(decoded(), context))
      yield responseSerialize(response);
  },
});
