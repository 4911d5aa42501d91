import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** What a file says, which may come, change and go. */
export interface FollowedFile<T> {
  /** As last read without fault. */
  current(): T;
  close(): void;
}

export interface FollowOptions<T> {
  /** What a missing file says. */
  readonly absent: T;
  /** Throws an Error that says what is wrong with the text. */
  readonly parse: (text: string) => T;
  readonly onFault: (fault: string) => void;
  /** Told when the file says something else than before. */
  readonly onChange?: (() => void) | undefined;
}

/** Reads a file, and again whenever it changes. A faulty one is told, and what was read before stays in force. */
export async function followFile<T>(
  path: string,
  { absent, parse, onFault, onChange }: FollowOptions<T>,
): Promise<FollowedFile<T>> {
  let current = absent;
  let last: string | undefined;
  const read = async (told: (() => void) | undefined): Promise<void> => {
    try {
      const text = await readFile(path, 'utf8').catch((err: unknown) => {
        if (Error.isError(err) && 'code' in err && err.code === 'ENOENT') return undefined;
        throw err;
      });
      current = text === undefined ? absent : parse(text);
      const changed = text !== last;
      last = text;
      if (changed) told?.();
    } catch (err) {
      onFault(
        `${path}: ${Error.isError(err) ? err.message : String(err)}; what was read before stays in force`,
      );
    }
  };
  await read(undefined);
  // One after the other: what was read last is what the file became last.
  let reading = Promise.resolve();
  const watcher = tryWatch(path, () => void (reading = reading.then(() => read(onChange))));
  return { current: () => current, close: () => watcher?.close() };
}

/** The folder is watched, as editors and Kubernetes put a new file in place of the old one. Without the folder there is nothing to follow. */
function tryWatch(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(dirname(path), { persistent: false }, (_event, file) => {
      if (file === null || file === basename(path) || file.startsWith('..')) onChange();
    });
  } catch {
    return undefined;
  }
}
