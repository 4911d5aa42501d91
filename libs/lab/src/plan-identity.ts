import type { PlannedProcess, PlanOptions } from './planned.ts';
import type { Topology } from './topology.ts';

const TRUST_DOMAIN = 'nsm.local';

/** Where a process gets its identity; the folder is its owner's only. */
export const identitySocket = (folder: string, process: string): string =>
  `unix://${folder}/identity/${process}.sock`;

/** Where whoever looks after the lab gets an identity. No process has such a name. */
export const keeperSocket = (folder: string): string => identitySocket(folder, '.lab');

/** Whoever looks after the lab. */
export const keeperId = (lab: string): string => `spiffe://${TRUST_DOMAIN}/${lab}`;

/** The identity server of a lab: a socket for each of its processes, and one for whoever looks after it. */
export function identityProcess(
  { folder, logFolder, logLevel, env, lab }: PlanOptions & { readonly lab: Topology },
  processes: readonly PlannedProcess[],
): PlannedProcess {
  const idOf = keeperId(lab.name);
  const entries = [
    `${keeperSocket(folder)}=${idOf}`,
    ...processes.map(({ name }) => `${identitySocket(folder, name)}=${idOf}/${name}`),
  ];
  const name = 'identity';
  return {
    name,
    program: 'identity',
    namespace: 'registry',
    url: keeperSocket(folder),
    env: {
      NSM_NAME: name,
      NSM_LOG_LEVEL: logLevel ?? 'info',
      NSM_TRUST_DOMAIN: TRUST_DOMAIN,
      NSM_ENTRIES: entries.join(','),
      NSM_CA_FILE: `${folder}/identity/ca.pem`,
      ...env?.({ name, program: 'identity' }),
    },
    log: `${logFolder ?? `${folder}/log`}/${name}.log`,
  };
}
