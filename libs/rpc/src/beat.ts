/**
 * How a caller learns that the machine of a server has vanished, which no socket tells: a stream of a server of ours says something at
 * least every {@link BEAT_MS} when the caller asks for it by this header, and answers the header. Whoever does not know it is not
 * missed.
 */
export const BEAT_HEADER = 'nsm-beat';
const BEAT_MS = 150;
/** How many beats in a row may be missing. */
const MISSES = 5;

/** A message that says nothing but that its sender is there. */
export const BEAT = Symbol('beat');
/** On the wire: field 2047 of no message, which decoders skip. */
const BEAT_BYTES = Uint8Array.of(0xf8, 0x7f, 0x01);

export const encodeBeat = (): Uint8Array => BEAT_BYTES;
export const isBeat = (bytes: Uint8Array): boolean =>
  bytes.length === BEAT_BYTES.length && bytes.every((byte, i) => byte === BEAT_BYTES[i]);

/** The messages of a stream, with a beat wherever there has been none for a while. */
export async function* withBeats(messages: AsyncIterable<unknown>): AsyncGenerator {
  const stream = messages[Symbol.asyncIterator]();
  let wake = (): void => undefined;
  /** What has come and was not passed on; a failure comes as a rejection. */
  let come: Promise<IteratorResult<unknown>> | undefined;
  const ask = (): void => {
    const next = stream.next();
    const settle = (): void => {
      come = next;
      wake();
    };
    next.then(settle, settle);
  };
  try {
    ask();
    for (;;) {
      // One promise a round: a race against the next message would leave a reaction at it each time.
      if (come === undefined)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, BEAT_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      const now = come;
      come = undefined;
      if (now === undefined) {
        yield BEAT;
        continue;
      }
      const next: IteratorResult<unknown, unknown> = await now;
      if (next.done === true) return;
      yield next.value;
      ask();
    }
  } finally {
    void stream.return?.().catch(() => undefined);
  }
}

/** Calls `onSilence` once when a stream, from when it is expected to beat, misses {@link MISSES} beats. Counts by ticks, so that our own sleep is not theirs. */
export function listenForBeats(onSilence: () => void): {
  expect(): void;
  heard(): void;
  stop(): void;
} {
  let missed = 0;
  let timer: NodeJS.Timeout | undefined;
  const tick = (): void => {
    missed += 1;
    if (missed > MISSES) {
      clearInterval(timer);
      onSilence();
    }
  };
  return {
    expect: () => void (timer ??= setInterval(tick, BEAT_MS)),
    heard: () => void (missed = 0),
    stop: () => clearInterval(timer),
  };
}
