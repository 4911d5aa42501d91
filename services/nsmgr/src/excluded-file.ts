import { parsePrefix } from '@nsm/ip';
import { followFile, type FollowedFile } from '@nsm/service';
import { parse } from 'yaml';

/** Follows a YAML file with a list `prefixes` (contract 3.7). A missing file excludes nothing. */
export const followExcludedFile = (
  path: string,
  onFault: (fault: string) => void,
  onChange?: () => void,
): Promise<FollowedFile<readonly string[]>> =>
  followFile<readonly string[]>(path, { absent: [], parse: prefixesOf, onFault, onChange });

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
