import {
  createPolicies,
  followPolicies,
  policySets,
  type Policies,
  type PolicyFolder,
  type PolicyOptions,
} from '@nsm/policy';
import type { IdentitySource } from '@nsm/rpc';
import type { Logger } from './log.ts';
import { choice, list, text, type Values } from './settings.ts';

/** Who may do what; docs/security.md explains each. */
export const policySettings = {
  NSM_POLICY_SET: choice(
    {
      fallback: 'strict',
      help: 'strict: the rules of upstream and those of ours where it leaves gaps; upstream: its rules and no others; closed: strict, and tokens carry certificates and are refused without, for meshes without a hop of upstream',
    },
    ...policySets,
  ),
  NSM_POLICY_FOLDER: text({
    fallback: '',
    help: 'folder of policies of your own, NAME.cel and NAME.wasm; read again when it changes; empty: none',
  }),
  NSM_ADMINS: list({
    fallback: '',
    help: 'SPIFFE ids that may see every connection and change every connection and entry',
  }),
};

interface OpenPolicies {
  readonly policies: Policies;
  close(): void;
}

/** The policies of a process. @throws Error where those of the user cannot be read */
export async function openPolicies(
  config: Values<typeof policySettings> | undefined,
  identity: IdentitySource | undefined,
  log: Logger,
): Promise<OpenPolicies> {
  if (!config) return { policies: createPolicies(), close: () => undefined };
  const { NSM_POLICY_SET: set, NSM_ADMINS: admins, NSM_POLICY_FOLDER: folder } = config;
  let trusted: ReturnType<NonNullable<PolicyOptions['bundles']>> = new Map();
  identity?.onChange((now) => (trusted = now.bundles));
  const options: PolicyOptions = { set, admins, bundles: () => trusted };
  if (folder === '') return { policies: createPolicies(options), close: () => undefined };
  const followed: PolicyFolder = await followPolicies(folder, {
    onSet: (policies) => log.info({ folder, policies }, 'policies'),
    onFault: (fault) => log.error({ folder, fault }, 'policies cannot be read'),
  });
  return {
    policies: createPolicies({ ...options, more: () => followed.current() }),
    close: () => followed.close(),
  };
}
