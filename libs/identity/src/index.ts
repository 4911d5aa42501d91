export { millis, tokenFrom, tokenHeaders } from './headers.ts';
export { insecureTokens, subjectOf } from './token.ts';
export type { Token, TokenSource } from './token.ts';
