// Builds what has changed, then shows the quick start. Arguments go to `nsm quickstart`.
import { join, relative } from 'node:path';
import { build } from './build.mjs';

const dist = join(import.meta.dirname, '..', 'dist');
try {
  await build();
} catch (error) {
  // The bundler has said already what is wrong with the sources.
  if (!Array.isArray(error?.errors)) throw error;
  process.exit(1);
}
// One process less to pass signals on: the command line runs in this one, and starts itself again by these arguments.
process.argv = [
  process.execPath,
  join(dist, 'nsm', 'main.mjs'),
  'quickstart',
  ...process.argv.slice(2),
];
process.env.NSM_COMMAND = relative(process.cwd(), join(dist, 'bin', 'nsm'));
await import(join(dist, 'nsm', 'main.mjs'));
