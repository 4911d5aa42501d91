export { createPolicies } from './policies.ts';
export type { Policies, PolicyOptions, PolicySet } from './policies.ts';
export type { Operation, Policy, Question } from './question.ts';
