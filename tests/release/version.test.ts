import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
};

test.each(['registry', 'nsmgr', 'forwarder', 'nsc', 'nse', 'nsm'])(
  '%s tells the version of package.json and the commit it was built from',
  (name) => {
    const { stdout } = spawnSync(join(root, 'dist/bin', name), ['--version'], { encoding: 'utf8' });
    expect(stdout).toMatch(
      new RegExp(`^${name} ${version} \\(commit ([0-9a-f]{12}|unknown)\\)\\n$`),
    );
  },
);

test('the changelog begins with this version', () => {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  expect(/^## (\S+)/m.exec(changelog)?.[1]).toBe(version);
});
