import type { LimitName } from './limits.ts';

/**
 * Every way a call can fail: its gRPC status (number of google.rpc.Code) and whether the same call may succeed later.
 * One closed list; `docs/errors.md` explains each.
 */
export const errorCodes = {
  'invalid-argument': { status: 3, retry: false },
  'not-found': { status: 5, retry: true },
  'no-candidate': { status: 9, retry: true },
  'mechanism-unsupported': { status: 9, retry: false },
  exhausted: { status: 8, retry: true },
  conflict: { status: 10, retry: true },
  'permission-denied': { status: 7, retry: false },
  unauthenticated: { status: 16, retry: false },
  unavailable: { status: 14, retry: true },
  deadline: { status: 4, retry: true },
  cancelled: { status: 1, retry: false },
  unimplemented: { status: 12, retry: false },
  kernel: { status: 14, retry: true },
  internal: { status: 13, retry: false },
} as const satisfies Record<string, { status: number; retry: boolean }>;

export type ErrorCode = keyof typeof errorCodes;

/** Where and why a call failed. `hop` and `element` name the origin, also after the failure crossed other hops. */
export interface ErrorFields {
  readonly cause?: unknown;
  readonly hop?: string | undefined;
  readonly element?: string | undefined;
  readonly connection?: string | undefined;
  /** The policy that refuses. */
  readonly policy?: string | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** The limit of this process that was reached; it is counted where the call is answered. */
  readonly limit?: LimitName | undefined;
}

/** A failure somebody outside can cause or act on. Anything else is a plain Error and a defect. */
export class NsmError extends Error {
  readonly code: ErrorCode;
  hop: string | undefined;
  element: string | undefined;
  connection: string | undefined;
  readonly policy: string | undefined;
  readonly hint: string | undefined;
  readonly limit: LimitName | undefined;

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}) {
    super(message, 'cause' in fields ? { cause: fields.cause } : undefined);
    this.name = 'NsmError';
    this.code = code;
    this.hop = fields.hop;
    this.element = fields.element;
    this.connection = fields.connection;
    this.policy = fields.policy;
    this.hint = fields.hint;
    this.limit = fields.limit;
  }

  get retry(): boolean {
    return errorCodes[this.code].retry;
  }

  /** Its fields, for an error that takes its place. */
  fields(cause: unknown): ErrorFields {
    const { hop, element, connection, policy, hint, limit } = this;
    return { cause, hop, element, connection, policy, hint, limit };
  }

  /**
   * Any thrown value as an NsmError. The first NsmError among the causes decides the code; an aborted signal reads as
   * cancelled, a timed out one as deadline; everything else is internal.
   */
  static from(thrown: unknown): NsmError {
    for (
      let err = thrown, depth = 0;
      Error.isError(err) && depth < 8;
      err = err.cause, depth += 1
    ) {
      if (!(err instanceof NsmError)) continue;
      if (err === thrown) return err;
      return new NsmError(err.code, (thrown as Error).message, err.fields(thrown));
    }
    if (!Error.isError(thrown)) return new NsmError('internal', String(thrown));
    if (thrown.name === 'AbortError')
      return new NsmError('cancelled', 'the caller gave up', { cause: thrown });
    if (thrown.name === 'TimeoutError')
      return new NsmError('deadline', 'the time limit of the call was reached', { cause: thrown });
    return new NsmError('internal', thrown.message, { cause: thrown });
  }
}

/** The same failure with text in front of it: "outer: inner", as upstream wraps (contract 2.11). */
export function wrapped(prefix: string, thrown: unknown): NsmError {
  const inner = NsmError.from(thrown);
  return new NsmError(inner.code, `${prefix}: ${inner.message}`, inner.fields(thrown));
}
