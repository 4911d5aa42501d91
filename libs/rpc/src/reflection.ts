import type { ServiceDefinition as ServerDefinition } from '@grpc/grpc-js';
import type { CallContext, ServiceDefinition as ClientDefinition } from 'nice-grpc';

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

const definition = (version: 'v1' | 'v1alpha'): ClientDefinition & ServerDefinition => ({
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
    const { answers } = await import('./reflection-answers.ts');
    yield* answers(names, requests, context);
  },
});
