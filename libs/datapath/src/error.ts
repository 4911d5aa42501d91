import { PlanError } from './check.ts';

/** What a failure is made of; plain data, so that it can cross threads. */
export interface Failure {
  readonly message: string;
  /** `EEXIST`, `ENOENT`, ...; empty where the system had no part in it. */
  readonly code: string;
  /** What was being done, as an `ip` command; empty where it was none. */
  readonly operation: string;
  readonly errno?: number;
  /** The field of the plan that is at fault. */
  readonly field?: string;
}

/** The kernel could not be made to match a plan. ENOENT: a namespace is gone. EEXIST: a name or tunnel number is somebody else's. */
export class DatapathError extends Error {
  override readonly name = 'DatapathError';
  readonly code: string;
  readonly errno: number | undefined;
  readonly operation: string;

  constructor({ message, code, operation, errno }: Failure, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.errno = errno;
    this.operation = operation;
  }
}

/** The code of a system error; empty for any other value. */
export const codeOf = (error: unknown): string =>
  Error.isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** Takes an error apart for its way to another thread. */
export function failureOf(error: unknown): Failure {
  if (!Error.isError(error)) return { message: String(error), code: '', operation: '' };
  const text = (key: string): string => {
    const value: unknown = Reflect.get(error, key);
    return typeof value === 'string' ? value : '';
  };
  const errno: unknown = Reflect.get(error, 'errno');
  return {
    message: error.message,
    code: text('code'),
    operation: text('operation'),
    ...(typeof errno === 'number' ? { errno } : {}),
    ...(error instanceof PlanError ? { field: error.field } : {}),
  };
}

/** The error of a failure, for the caller of a datapath. */
export const errorFrom = (failure: Failure, cause?: unknown): Error =>
  failure.field === undefined
    ? new DatapathError(failure, cause)
    : new PlanError(failure.field, failure.message.replace(`${failure.field}: `, ''), cause);
