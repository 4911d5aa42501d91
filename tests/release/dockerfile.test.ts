import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** A script of package.json as the files it is made of, with what those import from beside them. */
function filesOf(script: string): string[] {
  const { scripts } = JSON.parse(read('package.json')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const found = new Set<string>();
  const add = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, path = ''] of read(file).matchAll(/from '(\.[^']+)'/g))
      add(posix.join(posix.dirname(file), path));
  };
  for (const [file] of (scripts[script] ?? '').matchAll(/scripts\/\S+\.mjs/g)) add(file);
  return [...found];
}

test('what a build within an image runs is in its context', () => {
  const steps = read('Dockerfile').match(/^RUN .*$/gm) ?? [];
  const scripts = steps.flatMap((step) =>
    [...step.matchAll(/npm run (\w+)/g)].map(([, name = '']) => name),
  );
  expect(scripts).toEqual(['build', 'sbom']);
  const context = read('.dockerignore').split('\n');
  const missing = scripts.flatMap(filesOf).filter((file) => !context.includes(`!${file}`));
  expect(missing).toEqual([]);
});
