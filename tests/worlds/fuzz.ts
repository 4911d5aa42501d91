import type { ServiceDefinition } from '@nsm/rpc';

type MethodDefinition = ServiceDefinition['methods'][string];

/** A whole number from 0 on that is below the one given. */
export type Random = (below: number) => number;

/** mulberry32 */
export function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Values that programs trip over. */
export const texts = [
  '',
  'svc',
  'endpoint',
  'nsm-1',
  '../x',
  '\0',
  'é'.repeat(200),
  'x'.repeat(5_000),
  '-1',
  '__proto__',
  'constructor',
  '%s%n',
  '10.0.0.1/32',
  'fd00::1/129',
  'inode://1/1',
  'inode://4/9',
  'unix:///x',
  'tcp://:1',
  'KERNEL',
  'VXLAN',
  'WIREGUARD',
  'LOCAL',
  'REMOTE',
  'IP',
  'ETHERNET',
];
const numbers = [0, 1, 2, 7, 64, 1_000, 65_536, 2 ** 31 - 1];

/** A message like this one, in which every now and then a field is something else of its type. */
export function spoil(value: unknown, below: Random): unknown {
  const odd = below(12) === 0;
  if (typeof value === 'string') return odd ? texts[below(texts.length)] : value;
  if (typeof value === 'number') return odd ? numbers[below(numbers.length)] : value;
  if (typeof value === 'boolean') return odd ? !value : value;
  if (value instanceof Uint8Array || value === undefined || value === null) return value;
  if (Array.isArray(value)) {
    const spoilt = value.map((each) => spoil(each, below));
    if (odd && spoilt.length > 0) spoilt.splice(below(spoilt.length), below(2), spoilt[0]);
    return odd && below(4) === 0 ? [] : spoilt;
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) =>
      odd && below(6) === 0 ? [] : [[key, spoil(each, below)]],
    ),
  );
}

/** Whether a request asks for news, of which there may be none. */
function waits(type: MethodDefinition['requestType'], bytes: Uint8Array): boolean {
  try {
    const { watch, pastOnly } = type.decode(bytes) as { watch?: boolean; pastOnly?: boolean };
    return watch === true || pastOnly === false;
  } catch {
    return false;
  }
}

/**
 * A service whose requests are damaged on the wire every now and then: a byte is another one, or the end is missing. A stream that is
 * to end stays one.
 */
export function damaged<D extends ServiceDefinition>(definition: D, below: Random): D {
  const methods = Object.entries(definition.methods).map(([key, method]) => {
    const encode = (message: never) => {
      const bytes = Uint8Array.from(method.requestType.encode(message).finish());
      if (bytes.length === 0 || below(10) > 0) return { finish: () => bytes };
      const at = below(bytes.length);
      const odd = below(2) === 0 ? bytes.with(at, below(256)) : bytes.subarray(0, at);
      return { finish: () => (waits(method.requestType, odd) ? bytes : odd) };
    };
    return [key, { ...method, requestType: { ...method.requestType, encode } }] as const;
  });
  return { ...definition, methods: Object.fromEntries(methods) };
}
