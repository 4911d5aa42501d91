// Programs of others that some tests need, as packages of Debian.
import { spawnSync } from 'node:child_process';

/** Whether a program can be started. */
export const has = (program) => !spawnSync(program, ['--version']).error;

/** Installs the packages (by program) that are missing; needs root. Answers why it could not. */
export function installMissing(packages, say) {
  const missing = Object.keys(packages).filter((program) => !has(program));
  if (missing.length === 0) return undefined;
  const names = [...new Set(missing.map((program) => packages[program]))];
  say(`installing ${names.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const words of [
    ['update', '-qq'],
    ['install', '-qq', '-y', '--no-install-recommends', ...names],
  ])
    if (spawnSync('apt-get', words, { stdio: ['ignore', 'ignore', 'inherit'], env }).status !== 0)
      return `apt-get ${words.join(' ')} failed`;
  return undefined;
}
