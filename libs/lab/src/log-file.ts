import { closeSync, openSync, readSync, watch } from 'node:fs';

/** A line of a service's log. Only what the lab reads of it. */
export interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

const CHUNK = 64 * 1024;

/** Reads a growing log file line by line, from an offset in bytes. */
interface LogReader {
  /** The lines that were completed since the last call. */
  next(): LogLine[];
  close(): void;
}

/** Opens a log file. A line that is not JSON, as a crash leaves them, reads as `{ level: 'error', msg: line }`. */
function openLog(file: string, offset: number): LogReader {
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(CHUNK);
  let position = offset;
  let rest = Buffer.alloc(0);
  return {
    next: () => {
      const lines: LogLine[] = [];
      for (;;) {
        const length = readSync(fd, buffer, 0, CHUNK, position);
        if (length === 0) return lines;
        position += length;
        rest = Buffer.concat([rest, buffer.subarray(0, length)]);
        const end = rest.lastIndexOf(0x0a);
        if (end === -1) continue;
        const complete = rest.toString('utf8', 0, end).split('\n');
        rest = rest.subarray(end + 1);
        lines.push(...complete.filter((line) => line.trim() !== '').map(parseLine));
      }
    },
    close: () => closeSync(fd),
  };
}

/** All complete lines of a log from an offset; none when there is no such file. */
export function readLog(file: string, offset = 0): LogLine[] {
  let log: LogReader;
  try {
    log = openLog(file, offset);
  } catch {
    return [];
  }
  try {
    return log.next();
  } finally {
    log.close();
  }
}

/** What a log says about a failure: its last warnings, errors and lines that are no JSON, oldest first. */
export const problemsIn = (lines: readonly LogLine[], limit = 8): string[] =>
  lines
    .filter(({ level }) => level === 'warn' || level === 'error' || level === 'fatal')
    .slice(-limit)
    .map(({ msg, err }) => [msg, detailOf(err)].filter(Boolean).join(': '));

/**
 * Follows a log until `found` answers something, or `ended` settles and the rest of the log has been read: then undefined.
 * @throws the signal's reason
 */
export async function followLog<T>(
  file: string,
  offset: number,
  found: (line: LogLine) => T | undefined,
  options: { readonly ended: Promise<unknown>; readonly signal: AbortSignal },
): Promise<T | undefined> {
  const { ended, signal } = options;
  let wake = Promise.withResolvers<undefined>();
  const life = { over: false };
  const onAbort = (): void => wake.reject(signal.reason as Error);
  // The watch comes before the first look, so that no line falls between them.
  const watcher = watch(file, () => wake.resolve(undefined));
  const log = openLog(file, offset);
  void ended.finally(() => {
    life.over = true;
    wake.resolve(undefined);
  });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const last = life.over;
      for (const line of log.next()) {
        const answer = found(line);
        if (answer !== undefined) return answer;
      }
      if (last) return undefined;
      await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    watcher.close();
    log.close();
  }
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as LogLine;
  } catch {
    // Not ours: what the runtime prints when it crashes, for example.
  }
  return { level: 'error', msg: text };
}

function detailOf(err: unknown): string | undefined {
  if (typeof err !== 'object' || err === null || !('message' in err)) return undefined;
  return typeof err.message === 'string' ? err.message : undefined;
}
