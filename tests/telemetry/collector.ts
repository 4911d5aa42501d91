import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { BinaryReader } from '@bufbuild/protobuf/wire';

/** A span as a collector is told of it; ids in hex. */
export interface CollectedSpan {
  /** service.name of the process it comes from. */
  readonly process: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the root of a trace. */
  readonly parentId: string;
  readonly name: string;
}

export interface Collector {
  readonly endpoint: string;
  readonly spans: readonly CollectedSpan[];
  close(): Promise<void>;
}

/** Takes OTLP over HTTP as protobuf, as a collector does (opentelemetry/proto/collector/trace/v1/trace_service.proto). */
export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      const fine =
        request.url === '/v1/traces' &&
        request.headers['content-type'] === 'application/x-protobuf';
      if (fine) spans.push(...messages(body, 1).flatMap(spansOf));
      response.writeHead(fine ? 200 : 400, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** ResourceSpans: 1 resource, 2 scope_spans; ScopeSpans: 2 spans. */
function spansOf(resourceSpans: Uint8Array): CollectedSpan[] {
  const [resource = new Uint8Array()] = messages(resourceSpans, 1);
  const attributes = messages(resource, 1).map((pair) => [
    text(messages(pair, 1)[0]),
    text(messages(messages(pair, 2)[0] ?? new Uint8Array(), 1)[0]),
  ]);
  const process = (Object.fromEntries(attributes) as Record<string, string>)['service.name'] ?? '';
  return messages(resourceSpans, 2)
    .flatMap((scope) => messages(scope, 2))
    .map((span) => {
      const [traceId, spanId, parentId] = [1, 2, 4].map((field) => hex(messages(span, field)[0]));
      const name = text(messages(span, 5)[0]);
      return {
        process,
        traceId: traceId ?? '',
        spanId: spanId ?? '',
        parentId: parentId ?? '',
        name,
      };
    });
}

/** What a message holds in one of its length-delimited fields. */
function messages(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted) found.push(reader.bytes());
    else reader.skip(type, field);
  }
  return found;
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
