import type { TokenReader } from '@nsm/identity';
import type { Policy, Question } from '../question.ts';
import { factsOf, type Facts } from './facts.ts';

type Judge = (facts: Facts, question: Question) => unknown;

/**
 * A policy out of a file: `NAME.cel`, an expression, or `NAME.wasm`, compiled Rego. It allows what it gives `true` for; anything
 * else, and any failure, refuses. The libraries are loaded with the first file that needs them.
 * @throws Error says what is wrong with the file
 */
export async function compile(
  file: string,
  bytes: Uint8Array<ArrayBuffer>,
  reader: TokenReader,
): Promise<Policy> {
  const at = file.lastIndexOf('.');
  const name = file.slice(0, at);
  if (file.slice(at) === '.wasm') {
    const { loadRego } = await import('./rego.ts');
    return policyOf(name, await loadRego(bytes), 'the policy does not allow it', reader);
  }
  const text = Buffer.from(bytes).toString('utf8');
  const { compileCel } = await import('./cel.ts');
  return policyOf(name, compileCel(text), reasonIn(text), reader);
}

/** The comment an expression begins with is what a refused caller is told. */
const reasonIn = (text: string): string =>
  /^\s*\/\/\s*(.+)/.exec(text)?.[1]?.trim() ?? `not true: ${text.trim().replace(/\s+/g, ' ')}`;

const policyOf = (name: string, judge: Judge, reason: string, reader: TokenReader): Policy => ({
  name,
  refuses: (question) => {
    try {
      return judge(factsOf(question, reader), question) === true ? undefined : reason;
    } catch (err) {
      const [line = ''] = (Error.isError(err) ? err.message : String(err)).split('\n');
      return `it cannot be evaluated: ${line}`;
    }
  },
});
