import type { Lab } from '@nsm/lab';
import { ObserverDefinition, type Event } from '@nsm/proto';
import { NsmError, type Dialer } from '@nsm/rpc';
import { duration } from '@nsm/service';
import { type Call, type Command, UsageError } from './command.ts';
import { dialerFrom } from './dialer.ts';
import { onlyLabOrNone, whichLab } from './which-lab.ts';

/** Where the manager of this machine listens, when there is one (contract 7.2). */
const LOCAL_MANAGER = 'unix:///var/lib/networkservicemesh/nsm.io.sock';
/** Between two attempts to hear a process again, in ms. */
const RETRY_MS = 200;

const fields = ['kind', 'client', 'service', 'endpoint', 'hop'] as const;

/** `nsm observe` */
export const observe: Command = {
  name: 'observe',
  synopsis: `[--since TIME] [--past] [--FIELD VALUE[,VALUE ...] ...] [-o text|json] [--lab NAME | --url URL[,URL ...]]`,
  summary:
    'Shows what happens in a mesh while it happens: requests, healing, expiry, repairs, sweeps.',
  details: `
  --since TIME     begin with what is remembered (the last 1,000 events of each process): 10m, 30s, or 2026-01-31T12:00:00Z
  --past           end after that, instead of going on
  --FIELD VALUES   only events with one of these values; FIELD is one of ${fields.join(', ')}
  -o, --output     text (default) or json: one object a line
  --lab NAME       hear all processes of a lab; the default where exactly one is up
  --url URL,...    hear these: unix:///path or tcp://host:port of a manager, forwarder, endpoint or registry; without either,
                   the manager of this machine

kind is one of
  request, refresh, refused   what clients ask of the manager of their node
  heal-start, heal-end        a wire's path is down or the wire is dead, and is well again: with cause and duration
  reselect                    another endpoint, or the same one anew
  close, expiry               by its caller, or because nobody refreshed it
  repair, sweep               links that were changed by hand, and links that nobody claimed after a restart

JSON has every field in every line: {"time": ISO 8601, "kind", "hop", "client", "connection", "service", "endpoint", "cause", "ms"}`,
  options: {
    since: { type: 'string' },
    past: { type: 'boolean' },
    output: { type: 'string', short: 'o' },
    lab: { type: 'string' },
    url: { type: 'string' },
    ...Object.fromEntries(fields.map((field) => [field, { type: 'string' as const }])),
  },
  arity: [0, 0],
  run: async (call) => {
    const output = call.text('output') ?? 'text';
    if (output !== 'text' && output !== 'json')
      throw new UsageError(`-o ${output}: allowed are text and json`, observe);
    const { dialer, urls, close } = sourceOf(call);
    const stopping = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => stopping.abort());
    const passes = filterOf(call);
    const show = (event: Event): void => {
      if (passes(event)) process.stdout.write(output === 'json' ? jsonOf(event) : textOf(event));
    };
    const since = sinceOf(call.text('since'));
    try {
      await Promise.all(
        urls.map((url) =>
          hear({ dialer, url, since, pastOnly: call.flag('past') }, show, stopping.signal),
        ),
      );
      return 0;
    } finally {
      close();
    }
  },
};

interface Source {
  readonly dialer: Dialer;
  readonly url: string;
  /** In ms since 1970; undefined: from now on. */
  readonly since: number | undefined;
  readonly pastOnly: boolean;
}

/** Hears one process, over its restarts, until the signal aborts. */
async function hear(
  { dialer, url, since, pastOnly }: Source,
  show: (event: Event) => void,
  signal: AbortSignal,
): Promise<void> {
  const observer = dialer.client(ObserverDefinition, url);
  let from = since;
  while (!signal.aborted) {
    try {
      const asked = from === undefined ? undefined : timestamp(from);
      for await (const event of observer.observe({ since: asked, pastOnly }, { signal })) {
        from = millisOf(event) + 1;
        show(event);
      }
      if (pastOnly) return;
    } catch (error) {
      if (isAborted(signal)) return;
      if (NsmError.from(error).code !== 'unavailable' || pastOnly) throw error;
    }
    // What it tells when it is back is of its new life, all of it news.
    from ??= Date.now();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Asked again after an await, where the compiler would still believe the last answer. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

function sourceOf(call: Call): { dialer: Dialer; urls: readonly string[]; close: () => void } {
  const [name, url] = [call.text('lab'), call.text('url')];
  if (name !== undefined && url !== undefined)
    throw new UsageError('only one of --lab and --url can be heard', observe);
  const lab = url !== undefined ? undefined : name === undefined ? onlyLabOrNone() : whichLab(name);
  if (lab) return { dialer: lab.dialer, urls: urlsOf(lab), close: () => lab.detach() };
  const dialer = dialerFrom(process.env);
  return { dialer, urls: (url ?? LOCAL_MANAGER).split(','), close: () => dialer.close() };
}

/** Clients listen nowhere, and who gives identities knows nothing of wires. */
const urlsOf = ({ plan }: Lab): string[] =>
  plan.processes.flatMap(({ url, program }) =>
    url === undefined || program === 'identity' ? [] : [url],
  );

function filterOf(call: Call): (event: Event) => boolean {
  const wanted = fields.flatMap((field) => {
    const values = call.text(field)?.split(',');
    return values ? [{ field, values }] : [];
  });
  return (event) => wanted.every(({ field, values }) => values.includes(event[field]));
}

/** @throws UsageError */
function sinceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const at = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  try {
    return Date.now() - duration({ help: '' }).parse(text);
  } catch {
    throw new UsageError(`--since ${text}: write it as 10m, 30s, or 2026-01-31T12:00:00Z`, observe);
  }
}

const timestamp = (ms: number) => ({
  seconds: Math.floor(ms / 1_000),
  nanos: Math.floor((ms % 1_000) * 1e6),
});
const millisOf = ({ time }: Event): number => (time ? time.seconds * 1_000 + time.nanos / 1e6 : 0);
const isoOf = (event: Event): string => new Date(millisOf(event)).toISOString();

const jsonOf = ({ time: _, ...event }: Event): string =>
  `${JSON.stringify({ time: isoOf({ time: _, ...event }), ...event })}\n`;

/** `12:00:00.123 heal-end  n1  alice alice-0 web → web-2  340 ms  (cause)` */
function textOf(event: Event): string {
  const { kind, hop, client, connection, service, endpoint, cause, ms } = event;
  const what = [client, connection, service].filter((word) => word !== '').join(' ');
  return `${[
    isoOf(event).slice(11, 23),
    kind.padEnd(10),
    hop.padEnd(12),
    endpoint === '' ? what : `${what} → ${endpoint}`,
    ...(ms === 0 ? [] : [`${ms.toFixed(0)} ms`]),
    ...(cause === '' ? [] : [`(${cause})`]),
  ].join('  ')}\n`;
}
