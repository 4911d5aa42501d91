import { watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTokenReader } from '@nsm/identity';
import type { Policy } from '../question.ts';
import { compile } from './compile.ts';

export interface PolicyFolder {
  /** As last read without fault. */
  current(): readonly Policy[];
  close(): void;
}

export interface PolicyFolderOptions {
  /** Told of each set that is in force from now on. */
  readonly onSet: (names: readonly string[]) => void;
  /** Told of files that make no policies; then the set before stays in force. */
  readonly onFault: (fault: string) => void;
}

/**
 * The policies in a folder, read again whenever something in it changes: all of its files, or as they were before.
 * @throws Error where they cannot be read in the beginning: without its policies a process must not serve
 */
export async function followPolicies(
  folder: string,
  { onSet, onFault }: PolicyFolderOptions,
): Promise<PolicyFolder> {
  let current: readonly Policy[] = [];
  let reading = Promise.resolve();
  const read = async (): Promise<void> => {
    current = await readPolicies(folder);
    onSet(current.map(({ name }) => name));
  };
  const again = (): Promise<void> =>
    read().catch((err: unknown) => {
      const fault = Error.isError(err) ? err.message : String(err);
      onFault(`${fault}; the policies of before stay in force`);
    });
  // Before the first read, so that no change is missed. One after the other: what was read last is what the files became last.
  const watcher = watch(folder, { persistent: false }, () => void (reading = reading.then(again)));
  const first = read();
  reading = first.catch(() => undefined);
  try {
    await first;
  } catch (err) {
    watcher.close();
    throw err;
  }
  return { current: () => current, close: () => watcher.close() };
}

/** In the order of their names. */
async function readPolicies(folder: string): Promise<readonly Policy[]> {
  const reader = createTokenReader();
  const files = (await readdir(folder)).filter((file) => /^[^.].*\.(cel|wasm)$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      try {
        return await compile(file, await readFile(path), reader);
      } catch (err) {
        throw new Error(`${path}: ${Error.isError(err) ? err.message : String(err)}`, {
          cause: err,
        });
      }
    }),
  );
}
