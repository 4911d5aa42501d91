import { verify, X509Certificate } from 'node:crypto';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import type { Question } from '../question.ts';
import type { Facts } from './facts.ts';

const jsonOf = (part = ''): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());

/** What the policies of upstream call and WebAssembly does not bring. */
const builtins = {
  'time.now_ns': () => Math.trunc(performance.timeOrigin + performance.now()) * 1e6,
  'io.jwt.decode': (token: string) => {
    const [header, claims, signature = ''] = token.split('.');
    return [jsonOf(header), jsonOf(claims), Buffer.from(signature, 'base64url').toString('hex')];
  },
  'io.jwt.verify_es256': (token: string, certificate: string) => {
    const at = token.lastIndexOf('.');
    return verify(
      'sha256',
      Buffer.from(token.slice(0, at)),
      { key: new X509Certificate(certificate).publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(token.slice(at + 1), 'base64url'),
    );
  },
};

/** A policy that OPA has compiled to WebAssembly; its first entrypoint is asked. @throws Error says what is wrong with it */
export async function loadRego(
  wasm: Uint8Array<ArrayBuffer>,
): Promise<(facts: Facts, question: Question) => unknown> {
  const policy = await loadPolicy(wasm.buffer, undefined, builtins);
  return (facts, question) => {
    const [found] = policy.evaluate(inputOf(facts, question)) as { readonly result: unknown }[];
    return found?.result;
  };
}

/** The input of contract 2.10, and the facts. */
function inputOf(facts: Facts, { tokens, index, peer, entry, owner }: Question): object {
  return {
    ...facts,
    now: facts.now.toISOString(),
    index,
    path_segments: tokens.map((token, k) => ({
      ...(facts.path[k] && { name: facts.path[k].name, id: facts.path[k].id }),
      token,
    })),
    auth_info: { certificate: peer.certificate.toString() },
    ...(entry && {
      resource_id: facts.origin,
      resource_name: entry.name,
      resource_path_ids_map: owner === undefined ? {} : { [entry.name]: [owner] },
    }),
  };
}
