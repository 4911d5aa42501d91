import { identitySettings } from './identity.ts';
import { limitSettings } from './limits.ts';
import { policySettings } from './policies.ts';
import type { Values } from './settings.ts';

/** The settings of every program that has an identity. */
export const provenSettings = { ...identitySettings, ...policySettings, ...limitSettings };

export type Proven = Values<typeof provenSettings>;
