import { TokenError, type TokenReader } from '@nsm/identity';
import type { Question } from '../question.ts';

/** A hop of the way, as its token has it. */
interface HopFact {
  readonly name: string;
  readonly id: string;
  readonly subject: string;
  readonly audience: readonly string[];
}

/** What a policy of the user can refer to; docs/security.md lists it. */
export interface Facts {
  readonly op: string;
  /** SPIFFE ids: of the other end of the connection, of the first hop of the way, and of whom the thing belongs to already. */
  readonly caller: string;
  readonly origin: string;
  readonly owner: string;
  readonly path: readonly HopFact[];
  /** Of a request or close; empty for others. */
  readonly connection: Readonly<Record<string, unknown>>;
  /** Of a register or unregister; empty for others. */
  readonly entry: Readonly<Record<string, unknown>>;
  readonly now: Date;
}

/** Field names are those of the protocol. */
export function factsOf(question: Question, reader: TokenReader): Facts {
  const { op, peer, tokens, owner = '', connection, entry, now } = question;
  const segments = connection?.path?.pathSegments ?? [];
  const path = tokens.map((token, k): HopFact => {
    const { name = '', id = '' } = segments[k] ?? {};
    const { sub, aud } = claimsOf(token, reader);
    return { name, id, subject: sub, audience: aud };
  });
  const { cls, type, parameters } = connection?.mechanism ?? {};
  return {
    op,
    caller: peer.spiffeId,
    origin: path[0]?.subject ?? peer.spiffeId,
    owner,
    path,
    connection: connection
      ? {
          id: connection.id,
          network_service: connection.networkService,
          network_service_endpoint_name: connection.networkServiceEndpointName,
          payload: connection.payload,
          labels: connection.labels,
          mechanism: { cls, type, parameters },
        }
      : {},
    entry: entry ? entryFacts(entry) : {},
    now: new Date(now),
  };
}

function claimsOf(token: string, reader: TokenReader) {
  try {
    return reader.read(token);
  } catch (err) {
    if (err instanceof TokenError) return { sub: '', aud: [] };
    throw err;
  }
}

/** Both kinds of record: what one of them has not is empty. */
function entryFacts(entry: NonNullable<Question['entry']>): Facts['entry'] {
  const { name, pathIds, ...more } = entry as typeof entry & {
    readonly networkServiceNames?: readonly string[];
    readonly networkServiceLabels?: Readonly<Record<string, { labels: Record<string, string> }>>;
    readonly url?: string;
    readonly payload?: string;
  };
  const isEndpoint = more.networkServiceNames !== undefined;
  return {
    kind: isEndpoint ? 'NetworkServiceEndpoint' : 'NetworkService',
    name,
    path_ids: pathIds,
    payload: more.payload ?? '',
    url: more.url ?? '',
    network_service_names: more.networkServiceNames ?? [],
    network_service_labels: more.networkServiceLabels ?? {},
  };
}
