import { AsyncLocalStorage } from 'node:async_hooks';
import {
  createContextKey,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type SpanOptions,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  SamplingDecision,
  TracerProvider,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import { samplerOf, type SamplerName } from './sampler.ts';
import type { Tracing } from './tracing.ts';

export interface TracingOptions {
  /** Attributes of the process: service.name, service.version and others. */
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  /** Of those that sample a share: from 0 to 1. */
  readonly ratio: number;
  readonly exporter: SpanExporter;
}

/** The header by which upstream switches tracing for one call (contract 2.8): 0 undefined, 1 on, 2 off. */
const SWITCH = 'grpctracing';
const ON = '1';
const OFF = '2';
const switched = createContextKey(SWITCH);

/** Sends spans over OTLP (http/protobuf). `endpoint` is the base URL of a collector (OTEL_EXPORTER_OTLP_ENDPOINT). */
export const otlpExporter = (endpoint: string): SpanExporter =>
  new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` });

/** What is under way at one point of the program. */
interface Here {
  readonly context: Context;
  /** Lasts until the other side has had enough. */
  readonly stream: boolean;
  ended: boolean;
}

/** Loaded only where an endpoint is configured: this file is the only one that knows the SDK. */
export function startTracing({ resource, sampler, ratio, exporter }: TracingOptions): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: switchable(samplerOf(sampler, ratio)),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1_000 })],
  });
  const tracer = provider.getTracer('nsm');
  const propagator = new W3CTraceContextPropagator();
  const here = new AsyncLocalStorage<Here>();

  /** A span below `parent`. What outlives what began it is a trace of its own that names that; so is a stream, unless it is part of one. */
  const open = (
    name: string,
    {
      stream = false,
      ...options
    }: Pick<SpanOptions, 'kind' | 'attributes'> & { readonly stream?: boolean },
    parent: Here | undefined,
  ) => {
    const apart = parent !== undefined && (parent.ended || (stream && !parent.stream));
    const before = apart ? trace.getSpanContext(parent.context) : undefined;
    const above = parent === undefined || apart ? ROOT_CONTEXT : parent.context;
    const links = before === undefined ? [] : [{ context: before }];
    const span = tracer.startSpan(name, { ...options, links }, above);
    const now: Here = { context: trace.setSpan(above, span), stream, ended: false };
    return {
      now,
      fail: (err: unknown): void => {
        const message = Error.isError(err) ? err.message : String(err);
        span.setStatus({ code: SpanStatusCode.ERROR, message });
      },
      end: (): void => {
        now.ended = true;
        span.end();
      },
    };
  };
  type Opened = ReturnType<typeof open>;

  const within = async <T>({ now, fail, end }: Opened, body: () => Promise<T>): Promise<T> => {
    try {
      return await here.run(now, body);
    } catch (err) {
      fail(err);
      throw err;
    } finally {
      end();
    }
  };
  async function* along<T>(
    { now, fail, end }: Opened,
    body: () => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const messages = here.run(now, () => body()[Symbol.asyncIterator]());
    try {
      for (;;) {
        const next = await here.run(now, () => messages.next());
        if (next.done === true) return;
        yield next.value;
      }
    } catch (err) {
      fail(err);
      throw err;
    } finally {
      await here.run(now, () => messages.return?.());
      end();
    }
  }
  const rpc = (method: string): Attributes => {
    const [service = '', name = ''] = method.split('/');
    return { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': name };
  };

  const served = (
    method: string,
    header: (name: string) => string | undefined,
    stream: boolean,
  ): Opened => {
    const get = (_: unknown, name: string): string | undefined => header(name);
    const caller = propagator.extract(ROOT_CONTEXT, undefined, { get, keys: () => [] });
    const context = caller.setValue(switched, header(SWITCH));
    const options = { kind: SpanKind.SERVER, attributes: rpc(method), stream };
    return open(method, options, { context, stream, ended: false });
  };
  const calling = (method: string, stream: boolean): Opened =>
    open(method, { kind: SpanKind.CLIENT, attributes: rpc(method), stream }, here.getStore());
  const headersOf = ({ now: { context } }: Opened): Record<string, string> => {
    const headers: Record<string, string> = {};
    const set = (_: unknown, name: string, value: string): void => void (headers[name] = value);
    propagator.inject(context, undefined, { set });
    const asked = context.getValue(switched);
    if (asked === ON || asked === OFF) headers[SWITCH] = asked;
    return headers;
  };

  return {
    serve: (method, header, body) => within(served(method, header, false), body),
    call: (method, body) => {
      const opened = calling(method, false);
      return within(opened, () => body(headersOf(opened)));
    },
    async *serveStream(method, header, body) {
      yield* along(served(method, header, true), body);
    },
    async *callStream(method, body) {
      const opened = calling(method, true);
      yield* along(opened, () => body(headersOf(opened)));
    },
    part: (name, body) => within(open(name, { kind: SpanKind.INTERNAL }, here.getStore()), body),
    annotate: (attributes) => {
      const now = here.getStore();
      if (now) trace.getSpan(now.context)?.setAttributes(attributes);
    },
    ids: () => {
      const now = here.getStore();
      const span = now && trace.getSpanContext(now.context);
      return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
    },
    close: () => provider.shutdown(),
  };
}

/** A caller that switched tracing on or off for its call decides; all others leave it to the sampler. */
const switchable = (sampler: Sampler): Sampler => ({
  shouldSample: (now, ...rest) => {
    const asked = now.getValue(switched);
    if (asked === ON) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    if (asked === OFF) return { decision: SamplingDecision.NOT_RECORD };
    return sampler.shouldSample(now, ...rest);
  },
});
