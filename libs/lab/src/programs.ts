import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NsmError } from '@nsm/rpc';
import { type Program, startOrder } from './planned.ts';

/** By program, the command that runs it. Absolute paths: a lab may outlive the shell it was started from. */
export type Programs = Readonly<Record<Program, readonly string[]>>;

/** The bundles that `scripts/build.mjs` makes, run by this Node. @throws NsmError not-found when they are not built */
export function bundledPrograms(): Programs {
  // In a bundle this file is dist/<name>/main.mjs, in the sources libs/lab/src/programs.ts.
  const places = [
    join(import.meta.dirname, '..'),
    join(import.meta.dirname, '..', '..', '..', 'dist'),
  ];
  const dist = places.find((place) => existsSync(join(place, 'nsmgr', 'main.mjs')));
  if (dist === undefined)
    throw new NsmError('not-found', 'the programs of the mesh are not built', {
      hint: 'build them with: node scripts/build.mjs',
    });
  return Object.fromEntries(
    startOrder.map((program) => [
      program,
      [process.execPath, '--max-semi-space-size=1', join(dist, program, 'main.mjs')],
    ]),
  ) as Record<Program, string[]>;
}
