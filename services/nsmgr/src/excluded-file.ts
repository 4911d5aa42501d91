import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { parsePrefix } from '@nsm/ip';
import { parse } from 'yaml';

/** Prefixes from a file that may come, change and go. */
export interface ExcludedFile {
  /** As last read without fault. */
  current(): readonly string[];
  close(): void;
}

/**
 * Follows a YAML file with a list `prefixes` (contract 3.7). A missing file excludes nothing; a faulty one is told to
 * `onFault` and what was read before stays in force.
 */
export async function followExcludedFile(
  path: string,
  onFault: (fault: string) => void,
): Promise<ExcludedFile> {
  let current: readonly string[] = [];
  const read = async (): Promise<void> => {
    try {
      const text = await readFile(path, 'utf8').catch((err: unknown) => {
        if (Error.isError(err) && 'code' in err && err.code === 'ENOENT') return undefined;
        throw err;
      });
      current = text === undefined ? [] : prefixesOf(text);
    } catch (err) {
      onFault(
        `${path}: ${Error.isError(err) ? err.message : String(err)}; the prefixes read before stay in force`,
      );
    }
  };
  await read();
  // One after the other: what was read last is what the file became last.
  let reading = Promise.resolve();
  const watcher = tryWatch(path, () => void (reading = reading.then(read)));
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

function prefixesOf(text: string): string[] {
  const document = parse(text) as { prefixes?: unknown } | null;
  const prefixes = document?.prefixes ?? [];
  if (!Array.isArray(prefixes)) throw new Error('prefixes: is not a list');
  return prefixes.map((prefix, i) => {
    if (typeof prefix !== 'string') throw new Error(`prefixes[${i}]: is not a prefix`);
    parsePrefix(prefix);
    return prefix;
  });
}
