import { AsyncLocalStorage } from 'node:async_hooks';
import {
  createContextKey,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
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

  const within = async <T>(
    name: string,
    options: { readonly kind: SpanKind; readonly attributes?: Attributes },
    parent: Here | undefined,
    body: (now: Context) => Promise<T>,
  ): Promise<T> => {
    // What outlives the call that started it begins a trace of its own, which names the one it comes from.
    const stale = parent?.ended === true ? trace.getSpanContext(parent.context) : undefined;
    const above = stale === undefined && parent ? parent.context : ROOT_CONTEXT;
    const links = stale === undefined ? [] : [{ context: stale }];
    const span = tracer.startSpan(name, { ...options, links }, above);
    const mine: Here = { context: trace.setSpan(above, span), ended: false };
    try {
      return await here.run(mine, () => body(mine.context));
    } catch (err) {
      const message = Error.isError(err) ? err.message : String(err);
      span.setStatus({ code: SpanStatusCode.ERROR, message });
      throw err;
    } finally {
      mine.ended = true;
      span.end();
    }
  };
  const rpc = (method: string): Attributes => {
    const [service = '', name = ''] = method.split('/');
    return { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': name };
  };

  return {
    serve: (method, header, body) => {
      const get = (_: unknown, name: string): string | undefined => header(name);
      const caller = propagator.extract(ROOT_CONTEXT, undefined, { get, keys: () => [] });
      const parent: Here = {
        context: caller.setValue(switched, header(SWITCH)),
        ended: false,
      };
      return within(method, { kind: SpanKind.SERVER, attributes: rpc(method) }, parent, body);
    },
    call: (method, body) =>
      within(
        method,
        { kind: SpanKind.CLIENT, attributes: rpc(method) },
        here.getStore(),
        async (now) => {
          const headers: Record<string, string> = {};
          const set = (_: unknown, name: string, value: string): void =>
            void (headers[name] = value);
          propagator.inject(now, undefined, { set });
          const asked = now.getValue(switched);
          if (asked === ON || asked === OFF) headers[SWITCH] = asked;
          return body(headers);
        },
      ),
    part: (name, body) => within(name, { kind: SpanKind.INTERNAL }, here.getStore(), body),
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
