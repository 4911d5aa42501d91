import type { Clock } from '@nsm/chain';
import { pemSource, workloadSource } from '@nsm/identity';
import { createGrpcTransport, type Identity, type IdentitySource } from '@nsm/rpc';
import type { Logger } from './log.ts';
import { flag, map, SettingsError, text, type Values } from './settings.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** Where the identity of a process comes from: exactly one of the three. */
export const identitySettings = {
  SPIFFE_ENDPOINT_SOCKET: text({
    fallback: '',
    help: 'the SPIFFE Workload API that gives this process its identity, unix:///path or tcp://address:port',
  }),
  NSM_TLS_FILES: map({
    fallback: '',
    help: 'PEM files that hold it instead: certificate:/path,key:/path,bundle:/path; read again when they change',
  }),
  NSM_TLS_FEDERATED: map({
    fallback: '',
    help: 'with NSM_TLS_FILES, the bundles of other trust domains: domain:/path',
  }),
  NSM_INSECURE: flag({
    fallback: 'false',
    help: 'true: neither identities nor encryption; whoever reaches a socket is trusted',
  }),
};

type Config = Values<typeof identitySettings>;

/** Finds every fault of the three settings together. @throws SettingsError */
export function checkIdentity(config: Config): void {
  const { NSM_TLS_FILES: files, NSM_TLS_FEDERATED: federated } = config;
  const faults: string[] = [];
  const given = Object.keys(files);
  const ways = [config.NSM_INSECURE, config.SPIFFE_ENDPOINT_SOCKET !== '', given.length > 0];
  if (ways.filter(Boolean).length !== 1)
    faults.push(
      'an identity is required, from one place: set SPIFFE_ENDPOINT_SOCKET=unix:///path, or NSM_TLS_FILES=certificate:/path,key:/path,bundle:/path, or NSM_INSECURE=true for a mesh where nobody is authenticated',
    );
  const socket = config.SPIFFE_ENDPOINT_SOCKET;
  if (socket !== '' && !/^(unix:\/\/\/[^\0\s]+|tcp:\/\/[^/\s]*:\d{1,5})$/.test(socket))
    faults.push(`SPIFFE_ENDPOINT_SOCKET="${socket}": it takes unix:///path or tcp://address:port`);
  if (given.length > 0 && given.toSorted().join() !== 'bundle,certificate,key')
    faults.push('NSM_TLS_FILES: it takes certificate:/path,key:/path,bundle:/path, all three');
  if (given.length === 0 && Object.keys(federated).length > 0)
    faults.push('NSM_TLS_FEDERATED: it goes with NSM_TLS_FILES; the Workload API sends its own');
  if (faults.length > 0) throw new SettingsError(faults);
}

export interface IdentityContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The source of a process's identity; undefined in a mesh without. It logs what comes and what does not. */
export function openIdentity(
  config: Config,
  { log, clock, random }: IdentityContext,
): IdentitySource | undefined {
  if (config.NSM_INSECURE) return undefined;
  let told = '';
  const onEvent = (event: { identity: Identity } | { fault: unknown }): void => {
    if ('identity' in event) {
      const { spiffeId, certificates, bundles } = event.identity;
      const until = certificates[0].validTo;
      log.info({ spiffeId, until, trusts: [...bundles.keys()] }, 'identity');
      told = '';
      return;
    }
    const fault = Error.isError(event.fault) ? event.fault.message : String(event.fault);
    // Once per reason: it is tried again every few seconds.
    if (fault !== told) log.warn({ fault }, 'no new identity; the last one stays until it expires');
    told = fault;
  };
  const { certificate = '', key = '', bundle = '' } = config.NSM_TLS_FILES;
  if (certificate !== '')
    return pemSource({
      files: { certificate, key, bundle },
      federated: config.NSM_TLS_FEDERATED,
      clock,
      onEvent,
    });
  const dialer = createGrpcTransport();
  const url = config.SPIFFE_ENDPOINT_SOCKET;
  const source = workloadSource({ dialer, url, clock, random, onEvent });
  return {
    ...source,
    close: () => {
      source.close();
      dialer.close();
    },
  };
}

export interface IdentityWatch {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Told when the identity ends without another, and when there is one again. */
  readonly up: (up: boolean) => void;
}

/** Follows when the identity of the process ends. */
export function watchIdentity(source: IdentitySource, { clock, metrics, up }: IdentityWatch): void {
  let end: number | undefined;
  let stopWaiting = (): void => undefined;
  source.onChange(({ certificates: [leaf] }) => {
    end = Date.parse(leaf.validTo);
    stopWaiting();
    stopWaiting = clock.after(end - clock.now(), () => up(false));
    up(true);
  });
  metrics.read('nsm_svid_expiry_timestamp_seconds', () =>
    end === undefined ? [] : [[{}, end / 1_000]],
  );
}
