import { createPolicies, type Policies } from '@nsm/policy';
import { choice, list, type Values } from './settings.ts';

/** Who may do what; docs/security.md explains each. */
export const policySettings = {
  NSM_POLICY_SET: choice(
    {
      fallback: 'strict',
      help: 'strict: the rules of upstream and those of ours where it leaves gaps; upstream: its rules and no others',
    },
    'strict',
    'upstream',
  ),
  NSM_ADMINS: list({
    fallback: '',
    help: 'SPIFFE ids that may see every connection and change every connection and entry',
  }),
};

/** The policies of a process. */
export const openPolicies = (config: Values<typeof policySettings> | undefined): Policies =>
  createPolicies(config && { set: config.NSM_POLICY_SET, admins: config.NSM_ADMINS });
