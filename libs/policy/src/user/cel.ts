import { Environment } from '@marcbachmann/cel-js';
import type { Facts } from './facts.ts';

const environment = (): Environment =>
  new Environment({ homogeneousAggregateLiterals: false })
    .registerVariable('op', 'string')
    .registerVariable('caller', 'string')
    .registerVariable('origin', 'string')
    .registerVariable('owner', 'string')
    .registerVariable('path', 'list')
    .registerVariable('connection', 'map')
    .registerVariable('entry', 'map')
    .registerVariable('now', 'google.protobuf.Timestamp');

/** A CEL expression over {@link Facts} that is true or false. @throws Error says what is wrong with it */
export function compileCel(text: string): (facts: Facts) => unknown {
  const expression = environment().parse(text);
  const { valid, type, error } = expression.check();
  if (!valid) throw error ?? new Error('it is not valid');
  if (type !== 'bool' && type !== 'dyn')
    throw new Error(`it gives a ${String(type)}, and has to give a bool`);
  return (facts) => expression({ ...facts }) as unknown;
}
