import { ObserverDefinition, type Event } from '@nsm/proto';
import { NsmError, service, type Peer, type Service } from '@nsm/rpc';

/** How many events are remembered, for those who ask what has happened. */
const REMEMBERED = 1_000;
/** How many a reader may be behind before the oldest are left out. */
const MAX_BEHIND = 10_000;

/** What happens, without when and where. */
type News = Omit<Event, 'time' | 'hop'>;

/** Tells what happens in this process to whoever asks. */
export interface Observer {
  readonly service: Service;
  readonly tell: (news: Partial<News> & { readonly kind: string }) => void;
}

/** `now` in ms since 1970. Events are of everybody's connections: `mayObserve` says who is told. */
export function createObserver(
  hop: string,
  now: () => number,
  mayObserve: (peer: Peer) => boolean,
): Observer {
  const past: Event[] = [];
  const readers = new Set<(event: Event) => void>();
  const blank = { client: '', connection: '', service: '', endpoint: '', cause: '', ms: 0 };

  async function* live(signal: AbortSignal): AsyncGenerator<Event> {
    let waiting: Event[] = [];
    let wake = (): void => undefined;
    const read = (event: Event): void => {
      waiting.push(event);
      if (waiting.length > MAX_BEHIND) waiting.shift();
      wake();
    };
    const stop = (): void => wake();
    readers.add(read);
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!signal.aborted) {
        const told = waiting;
        waiting = [];
        yield* told;
        if (waiting.length === 0 && !isAborted(signal))
          await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      readers.delete(read);
      signal.removeEventListener('abort', stop);
    }
  }

  return {
    service: service(ObserverDefinition, {
      observe: async function* ({ since, pastOnly }, { signal, peer }) {
        if (peer && !mayObserve(peer))
          throw new NsmError(
            'permission-denied',
            `no sufficient privileges: observer: events are for admins, and ${peer.spiffeId} is none`,
            { policy: 'observer', hint: 'NSM_ADMINS of the process names who may' },
          );
        const from = since && since.seconds * 1_000 + since.nanos / 1e6;
        const remembered = past.filter((event) => from !== undefined && millis(event) >= from);
        if (pastOnly) {
          yield* remembered;
          return;
        }
        const following = live(signal);
        const first = following.next(); // listens before the past is told
        yield* remembered;
        for (let next = await first; next.done !== true; next = await following.next())
          yield next.value;
      },
    }),
    tell: (news) => {
      const ms = now();
      const time = { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1e6 };
      const event = { ...blank, ...news, time, hop };
      past.push(event);
      if (past.length > REMEMBERED) past.shift();
      for (const read of readers) read(event);
    },
  };
}

const millis = ({ time }: Event): number => (time ? time.seconds * 1_000 + time.nanos / 1e6 : 0);

/** Asked again after an await, where the compiler would still believe the last answer. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
