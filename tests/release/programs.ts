import { commonSettings, provenSettings, type Settings } from '@nsm/service';
import { forwarderSettings } from '@nsm/service-forwarder';
import { identityServerSettings } from '@nsm/service-identity';
import { nscSettings } from '@nsm/service-nsc';
import { nseSettings } from '@nsm/service-nse';
import { nsmgrSettings } from '@nsm/service-nsmgr';
import { registrySettings } from '@nsm/service-registry';

const proven = { ...provenSettings, ...commonSettings };

/** What each program that is deployed reads from its environment. */
export const programs: Readonly<Record<string, Settings>> = {
  identity: { ...identityServerSettings, ...commonSettings },
  registry: { ...registrySettings, ...proven },
  nsmgr: { ...nsmgrSettings, ...proven },
  forwarder: { ...forwarderSettings, ...proven },
  nse: { ...nseSettings, ...proven },
  nsc: { ...nscSettings, ...proven },
};

/** Those of the variables that a program does not read. */
export const unknownSettings = (program: string, names: readonly string[]): string[] =>
  names.filter((name) => !(name in (programs[program] ?? {})));
