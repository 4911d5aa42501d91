import { ErrorInfo, Status } from '@nsm/proto';
import { Metadata as Trailer, type ServerErrorResponse } from '@grpc/grpc-js';
import { ClientError, type Metadata } from 'nice-grpc';
import { errorCodes, NsmError, type ErrorCode } from './error.ts';

const DETAILS = 'grpc-status-details-bin';
const DOMAIN = 'networkservicemesh.io';
const INFO_TYPE = 'type.googleapis.com/google.rpc.ErrorInfo';

/** gRPC statuses that other implementations send and none of our codes has, as the nearest code. */
const foreign: Readonly<Record<number, ErrorCode>> = {
  2: 'unavailable', // UNKNOWN: almost every error of upstream's
  5: 'not-found',
  6: 'conflict', // ALREADY_EXISTS
  9: 'no-candidate',
  11: 'invalid-argument', // OUT_OF_RANGE
  14: 'unavailable',
  15: 'internal', // DATA_LOSS
};

const reasonOf = (code: ErrorCode): string => code.toUpperCase().replaceAll('-', '_');

/** What a gRPC handler answers when it fails; origin and remedy are in its trailer as google.rpc.ErrorInfo. */
export function toStatus(thrown: unknown, hop: string): ServerErrorResponse {
  const err = NsmError.from(thrown);
  const metadata: Record<string, string> = { hop: err.hop ?? hop };
  if (err.element !== undefined) metadata['element'] = err.element;
  if (err.connection !== undefined) metadata['connection'] = err.connection;
  if (err.policy !== undefined) metadata['policy'] = err.policy;
  if (err.hint !== undefined) metadata['hint'] = err.hint;
  const info = ErrorInfo.encode({ reason: reasonOf(err.code), domain: DOMAIN, metadata }).finish();
  const code: number = errorCodes[err.code].status;
  const details = [{ typeUrl: INFO_TYPE, value: Buffer.from(info) }];
  const trailer = new Trailer();
  trailer.set(
    DETAILS,
    Buffer.from(Status.encode({ code, message: err.message, details }).finish()),
  );
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the table holds the numbers of the enum
  return Object.assign(new Error(err.message), { code, details: err.message, metadata: trailer });
}

/** What a gRPC client call threw, as an NsmError with its origin where the other side told it. */
export function fromStatus(
  thrown: unknown,
  trailer: Metadata | undefined,
  target: string,
): NsmError {
  if (!(thrown instanceof ClientError)) return NsmError.from(thrown);
  const info = errorInfo(trailer);
  const code =
    codes.find((c) => info?.reason === reasonOf(c)) ??
    foreign[thrown.code] ??
    codes.find((c) => errorCodes[c].status === (thrown.code as number)) ??
    'internal';
  const { hop, element, connection, policy, hint } = info?.metadata ?? {};
  // Without details the transport itself failed: say what could not be reached.
  const text =
    info === undefined && code === 'unavailable' ? `${target}: ${thrown.details}` : thrown.details;
  return new NsmError(code, text, {
    cause: thrown,
    hop,
    element,
    connection,
    policy,
    hint,
  });
}

const codes = Object.keys(errorCodes) as ErrorCode[];

function errorInfo(trailer: Metadata | undefined): ErrorInfo | undefined {
  const bytes = trailer?.get(DETAILS);
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    const info = Status.decode(bytes).details.find((detail) => detail.typeUrl === INFO_TYPE);
    return info && ErrorInfo.decode(info.value);
  } catch {
    return undefined; // not ours to complain about: the status itself stands
  }
}
