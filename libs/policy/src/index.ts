export { createPolicies, policySets } from './policies.ts';
export type { Policies, PolicyOptions, PolicySet } from './policies.ts';
export { followPolicies } from './user/folder.ts';
export type { PolicyFolder } from './user/folder.ts';
export type { Operation, Policy, Question } from './question.ts';
