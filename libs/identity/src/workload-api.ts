import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Clock } from '@nsm/chain';
import { SpiffeWorkloadAPIDefinition, type X509SVIDResponse } from '@nsm/proto';
import {
  NsmError,
  spiffeIdOf,
  trustDomainOf,
  type Dialer,
  type Identity,
  type IdentitySource,
} from '@nsm/rpc';
import { split } from './der.ts';
import { createHolder, endOf } from './source.ts';

/** Metadata without which no call is answered: a browser could not be made to send it. */
export const WORKLOAD_HEADER = 'workload.spiffe.io';

/** Pauses between attempts, in ms. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [50, 5_000];
/** While there is an identity, none is longer than this part of what is left of it; in ms, how short that makes them. */
const [PART_OF_REST, SHORTENED_MS] = [0.05, 250];

export interface WorkloadOptions {
  /** Without an identity of its own: the socket itself is what is trusted. */
  readonly dialer: Dialer;
  /** SPIFFE_ENDPOINT_SOCKET (contract 7.9): unix:///path or tcp://address:port. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Told of each identity, and of each attempt to get one that failed. */
  readonly onEvent?: (event: { identity: Identity } | { fault: NsmError }) => void;
}

/** The identity that the SPIFFE Workload API gives this process: followed for as long as it is open, asked for anew when the stream ends. */
export function workloadSource(options: WorkloadOptions): IdentitySource {
  const { dialer, url, clock, random, onEvent } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const stopped = (): boolean => signal.aborted;
  const holder = createHolder(clock, () => stopping.abort());
  const client = dialer.client(SpiffeWorkloadAPIDefinition, url);

  const follow = async (): Promise<void> => {
    let end: number | undefined;
    for (let failures = 0; !stopped(); failures += 1) {
      try {
        const headers = { [WORKLOAD_HEADER]: 'true' };
        for await (const response of client.fetchX509SVID({}, { signal, headers })) {
          const identity = identityFrom(response);
          failures = 0;
          end = endOf(identity);
          holder.set(identity);
          onEvent?.({ identity });
        }
        throw new NsmError('unavailable', `${url} has ended the stream`);
      } catch (err) {
        if (stopped()) return;
        const fault = NsmError.from(err);
        holder.fail(fault.message);
        onEvent?.({ fault });
      }
      await after(clock, pauseAfter(failures, end, clock.now()) * (0.75 + random() / 2), signal);
    }
  };
  let following: Promise<void> | undefined;
  return {
    ...holder,
    // A command that asks nobody needs no identity.
    current: (limit) => {
      following ??= follow();
      return holder.current(limit);
    },
  };
}

/** In ms. A server that is back only just before an identity ends shall be found before that. */
function pauseAfter(failures: number, end: number | undefined, now: number): number {
  const rest = end === undefined ? Infinity : (end - now) * PART_OF_REST;
  const longest = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTENED_MS, rest));
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures, 10), longest);
}

/** What a response says; the first SVID is the default (Workload API standard, section 5). @throws Error where it is faulty */
function identityFrom({ svids, federatedBundles }: X509SVIDResponse): Identity {
  const [svid] = svids;
  if (!svid) throw new Error('the Workload API has sent no SVID');
  const [leaf, ...above] = certificatesOf(svid.x509Svid);
  if (!leaf) throw new Error('the Workload API has sent an SVID without a certificate');
  const privateKey = createPrivateKey({
    key: Buffer.from(svid.x509SvidKey),
    format: 'der',
    type: 'pkcs8',
  });
  if (!leaf.checkPrivateKey(privateKey))
    throw new Error('the Workload API has sent a key that is not that of the certificate');
  const spiffeId = spiffeIdOf(leaf);
  const bundles = new Map<string, readonly X509Certificate[]>();
  for (const [id, bundle] of Object.entries(federatedBundles))
    bundles.set(trustDomainOf(id) ?? id, certificatesOf(bundle));
  bundles.set(trustDomainOf(spiffeId) ?? '', certificatesOf(svid.bundle));
  return { spiffeId, certificates: [leaf, ...above], privateKey, bundles };
}

const certificatesOf = (row: Uint8Array): X509Certificate[] =>
  split(row).map((der) => new X509Certificate(der));

function after(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    const stop = (): void => {
      cancel();
      resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
