import type { Clock } from '@nsm/chain';
import { WORKLOAD_HEADER } from '@nsm/identity';
import type { Authority } from '@nsm/identity/authority';
import { SpiffeWorkloadAPIDefinition, X509BundlesResponse, X509SVIDResponse } from '@nsm/proto';
import { NsmError, service, type ServerContext, type Service } from '@nsm/rpc';

export interface WorkloadsOptions {
  readonly authority: Authority;
  readonly clock: Clock;
  /** How long an SVID lasts, in ms. */
  readonly ttlMs: number;
  /** Aborted when the process stops: streams then end with OK. */
  readonly stopping?: AbortSignal;
  /** Told of every SVID that is given out. */
  readonly onIssued?: (spiffeId: string) => void;
}

/**
 * The SPIFFE Workload API for one identity: whoever calls has it. A stream of SVIDs gets a new one at half the life of the
 * last. JWT-SVIDs are not made: NSM's tokens are signed by the workloads themselves.
 */
export function serveWorkloads(spiffeId: string, options: WorkloadsOptions): Service {
  const { authority, clock, ttlMs, stopping, onIssued } = options;
  const bundle = authority.certificate.raw;
  const ending = ({ signal }: ServerContext): AbortSignal =>
    stopping ? AbortSignal.any([signal, stopping]) : signal;
  return service(SpiffeWorkloadAPIDefinition, {
    fetchX509SVID: async function* (_request, context) {
      checkHeader(context);
      const end = ending(context);
      while (!end.aborted) {
        const { certificates, privateKey } = authority.issue(spiffeId, ttlMs);
        onIssued?.(spiffeId);
        yield X509SVIDResponse.fromPartial({
          svids: [
            {
              spiffeId,
              x509Svid: Buffer.concat(certificates.map(({ raw }) => raw)),
              x509SvidKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
              bundle,
            },
          ],
        });
        await after(clock, ttlMs / 2, end);
      }
    },
    fetchX509Bundles: async function* (_request, context) {
      checkHeader(context);
      yield X509BundlesResponse.fromPartial({
        bundles: { [`spiffe://${authority.trustDomain}`]: bundle },
      });
      // The authority of a process does not change.
      await after(clock, Infinity, ending(context));
    },
    fetchJWTSVID: async (_request, context) => noJwt(context),
    fetchJWTBundles: async function* (_request, context) {
      noJwt(context);
    },
    validateJWTSVID: async (_request, context) => noJwt(context),
  });
}

/** Workload Endpoint standard, section 6: what is not told to ask is not answered. */
function checkHeader(context: ServerContext): void {
  if (context.header(WORKLOAD_HEADER) !== 'true')
    throw new NsmError('invalid-argument', `security header missing: ${WORKLOAD_HEADER}: true`);
}

function noJwt(context: ServerContext): never {
  checkHeader(context);
  throw new NsmError('unimplemented', 'JWT-SVIDs are not issued here', {
    hint: 'use X.509-SVIDs, or SPIRE',
  });
}

/** Resolves after a time, or once the signal is aborted. */
function after(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = Number.isFinite(ms) ? clock.after(ms, () => resolve()) : undefined;
    const stop = (): void => {
      cancel?.();
      resolve();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
