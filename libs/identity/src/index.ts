export { millis, tokenFrom, tokenHeaders } from './headers.ts';
export { pemSource } from './pem-files.ts';
export { svidTokens } from './svid-tokens.ts';
export { audienceOf, callerOf, expiryOf, insecureTokens, subjectOf } from './token.ts';
export type { Token, TokenSource } from './token.ts';
export { WORKLOAD_HEADER, workloadSource } from './workload-api.ts';
export { createTokenReader, TokenError } from './verify-token.ts';
export type { TokenReader } from './verify-token.ts';
