import type { Trace } from '@nsm/chain';

type Attributes = Readonly<Record<string, string>>;

/** Spans of what a process does. Within one process they follow each other by themselves, over processes by headers (W3C Trace Context). */
export interface Tracing {
  /** A call that is served: continues the trace its headers tell of. */
  serve<T>(
    method: string,
    header: (name: string) => string | undefined,
    body: () => Promise<T>,
  ): Promise<T>;
  /** A call that is made: `body` is given the headers that go with it. */
  call<T>(method: string, body: (headers: Attributes) => Promise<T>): Promise<T>;
  /** A stream that is served, from its beginning to its end: continues the trace its headers tell of. */
  serveStream<T>(
    method: string,
    header: (name: string) => string | undefined,
    body: () => AsyncIterable<T>,
  ): AsyncIterable<T>;
  /** A stream that is read. It outlives what began it, so it is a trace of its own that names that, unless it is part of a stream. */
  callStream<T>(method: string, body: (headers: Attributes) => AsyncIterable<T>): AsyncIterable<T>;
  /** A part of what is under way; also the beginning of a trace. */
  readonly part: Trace;
  /** Says more of what is under way. */
  annotate(attributes: Attributes): void;
  /** The trace under way, for logs. */
  ids(): Attributes;
  /** Sends what is waiting. */
  close(): Promise<void>;
}
