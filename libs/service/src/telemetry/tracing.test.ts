import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SpanKind } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import {
  Connection,
  ConnectionEvent,
  MonitorConnectionDefinition,
  MonitorScopeSelector,
  NetworkServiceDefinition,
} from '@nsm/proto';
import { createMemoryTransport, NsmError, service, type Client, type Transport } from '@nsm/rpc';
import { instrument } from './instrument.ts';
import { startTracing } from './otlp.ts';
import type { SamplerName } from './sampler.ts';
import type { Tracing } from './tracing.ts';

/** A process that hears calls at `url` and answers by asking at `next`, if any. */
interface Hop {
  readonly tracing: Tracing;
  readonly spans: ReadableSpan[];
  readonly client: Client<typeof NetworkServiceDefinition>;
  readonly monitor: Client<typeof MonitorConnectionDefinition>;
}

const FIRST = 'unix:///first.sock';
const SECOND = 'unix:///second.sock';
const CALL = 'networkservice.NetworkService/Request';
let network: Transport;
let seen: (string | undefined)[];
beforeEach(() => {
  network = createMemoryTransport();
  seen = [];
});
const open: Tracing[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((tracing) => tracing.close()));
});

async function hop(
  url: string,
  next: string | undefined,
  { sampler = 'parentbased_always_on', body }: { sampler?: SamplerName; body?: () => void } = {},
): Promise<Hop> {
  const spans: ReadableSpan[] = [];
  const tracing = startTracing({
    resource: { 'service.name': url },
    sampler,
    ratio: 0,
    exporter: {
      export: (more, done) => {
        spans.push(...more);
        done({ code: ExportResultCode.SUCCESS });
      },
      shutdown: async () => undefined,
    },
  });
  open.push(tracing);
  const transport = instrument(network, { tracing });
  const onward = next === undefined ? undefined : transport.client(NetworkServiceDefinition, next);
  await transport.serve(url, url, [
    service(NetworkServiceDefinition, {
      request: async (request, context) => {
        seen.push(context.header('grpctracing'));
        body?.();
        return tracing.part('element', async () =>
          onward ? onward.request(request) : Connection.create(),
        );
      },
      close: async () => {
        throw new NsmError('not-found', 'no such thing');
      },
    }),
    service(MonitorConnectionDefinition, {
      monitorConnections: async function* (selector) {
        if (next === undefined) yield ConnectionEvent.create();
        else
          yield* transport.client(MonitorConnectionDefinition, next).monitorConnections(selector);
      },
    }),
  ]);
  return {
    tracing,
    spans,
    client: transport.client(NetworkServiceDefinition, url),
    monitor: transport.client(MonitorConnectionDefinition, url),
  };
}

const REQUEST = { connection: Connection.create(), mechanismPreferences: [] };
const collected = async (...hops: readonly Hop[]): Promise<ReadableSpan[]> => {
  await Promise.all(hops.map(({ tracing }) => tracing.close()));
  return hops.flatMap(({ spans }) => spans);
};
const spanOf = (spans: readonly ReadableSpan[], kind: SpanKind): ReadableSpan => {
  const found = spans.find((span) => span.kind === kind);
  if (!found) throw new Error(`there is no span of kind ${kind}`);
  return found;
};

describe('a call over two processes', () => {
  test('is one trace: each span is below the one that caused it', async () => {
    const second = await hop(SECOND, undefined);
    const first = await hop(FIRST, SECOND);
    await network.client(NetworkServiceDefinition, FIRST).request(REQUEST);
    const spans = await collected(first, second);
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1);
    const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
    const parents = spans.map(({ name, kind, parentSpanContext }) => [
      SpanKind[kind],
      name,
      names.get(parentSpanContext?.spanId ?? ''),
    ]);
    expect(parents.sort()).toEqual(
      [
        ['SERVER', CALL, undefined],
        ['INTERNAL', 'element', CALL],
        ['CLIENT', CALL, 'element'],
        ['SERVER', CALL, CALL],
        ['INTERNAL', 'element', CALL],
      ].sort(),
    );
    expect(spanOf(second.spans, SpanKind.SERVER).parentSpanContext?.spanId).toBe(
      spanOf(first.spans, SpanKind.CLIENT).spanContext().spanId,
    );
  });

  test('continues the trace of whoever calls (W3C Trace Context)', async () => {
    const first = await hop(FIRST, undefined);
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    await network.client(NetworkServiceDefinition, FIRST).request(REQUEST, {
      headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    });
    const [span] = await collected(first);
    expect(span?.spanContext().traceId).toBe(traceId);
  });

  test('is not recorded where the caller has not sampled it, nor further on', async () => {
    const second = await hop(SECOND, undefined);
    const first = await hop(FIRST, SECOND);
    await network.client(NetworkServiceDefinition, FIRST).request(REQUEST, {
      headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00' },
    });
    expect(await collected(first, second)).toEqual([]);
  });

  test('is switched off for all hops by grpctracing 2, and on by 1 whatever the sampler says', async () => {
    const second = await hop(SECOND, undefined, { sampler: 'always_off' });
    const first = await hop(FIRST, SECOND, { sampler: 'parentbased_traceidratio' });
    const client = network.client(NetworkServiceDefinition, FIRST);
    await client.request(REQUEST, { headers: { grpctracing: '2' } });
    expect(seen).toEqual(['2', '2']);
    await client.request(REQUEST, { headers: { grpctracing: 'nonsense' } });
    expect(seen).toEqual(['2', '2', 'nonsense', undefined]);
    await client.request(REQUEST, { headers: { grpctracing: '1' } });
    expect(seen.slice(4)).toEqual(['1', '1']);
    const spans = await collected(first, second);
    expect(spans.map(({ kind }) => SpanKind[kind]).sort()).toEqual(
      ['SERVER', 'INTERNAL', 'CLIENT', 'SERVER', 'INTERNAL'].sort(),
    );
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1);
  });
});

test('a call that fails says so in its spans', async () => {
  const { client, ...first } = await hop(FIRST, undefined);
  await expect(client.close(Connection.create())).rejects.toMatchObject({ code: 'not-found' });
  const spans = await collected({ client, ...first });
  expect(spans.map(({ status }) => status.message)).toEqual(['no such thing', 'no such thing']);
});

test('what outlives the call that started it is a trace of its own that names the first', async () => {
  const later = Promise.withResolvers<undefined>();
  let done = Promise.resolve();
  let linger = (): void => undefined;
  const first = await hop(FIRST, undefined, { body: () => linger() });
  linger = () => {
    done = later.promise.then(() => first.tracing.part('later', async () => undefined));
  };
  await network.client(NetworkServiceDefinition, FIRST).request(REQUEST);
  later.resolve(undefined);
  await done;
  const spans = await collected(first);
  const server = spanOf(spans, SpanKind.SERVER);
  const after = spans.find(({ name }) => name === 'later');
  expect(after?.parentSpanContext).toBeUndefined();
  expect(after?.spanContext().traceId).not.toBe(server.spanContext().traceId);
  expect(after?.links.map(({ context }) => context.spanId)).toEqual([server.spanContext().spanId]);
});

test('a stream is a trace over its hops, from beginning to end, that names what began it', async () => {
  const second = await hop(SECOND, undefined);
  const first = await hop(FIRST, SECOND);
  await first.tracing.part('watch', async () => {
    await Array.fromAsync(first.monitor.monitorConnections(MonitorScopeSelector.create()));
  });
  const spans = await collected(first, second);
  const began = spans.find(({ name }) => name === 'watch')?.spanContext();
  const below = (id: string | undefined): ReadableSpan | undefined =>
    spans.find(
      ({ name, parentSpanContext }) => name !== 'watch' && parentSpanContext?.spanId === id,
    );
  const order: ReadableSpan[] = [];
  for (let span = below(undefined); span; span = below(span.spanContext().spanId)) order.push(span);
  const STREAM = 'connection.MonitorConnection/MonitorConnections';
  expect(order.map(({ kind, name }) => [SpanKind[kind], name])).toEqual([
    ['CLIENT', STREAM],
    ['SERVER', STREAM],
    ['CLIENT', STREAM],
    ['SERVER', STREAM],
  ]);
  expect(order[0]?.links.map(({ context }) => context.spanId)).toEqual([began?.spanId]);
});
