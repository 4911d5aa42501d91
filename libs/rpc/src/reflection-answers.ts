import { descriptorSet } from '@nsm/proto';
import type { CallContext } from 'nice-grpc';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';

const { requestDeserialize, responseSerialize } = ServerReflectionService.serverReflectionInfo;

/** The answers of the library, out of the descriptors of the whole protocol. */
export async function* answers(
  names: readonly string[],
  requests: AsyncIterable<Uint8Array>,
  context: CallContext,
): AsyncGenerator<Uint8Array> {
  async function* decoded() {
    for await (const request of requests) yield requestDeserialize(Buffer.from(request));
  }
  const { serverReflectionInfo } = ServerReflection(descriptorSet, names);
  for await (const response of serverReflectionInfo(decoded(), context))
    yield responseSerialize(response);
}
