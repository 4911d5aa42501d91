// Upstream's code in every position of the path: npm run interop. Arguments select rows by words of their names.
import { join } from 'node:path';
import { behaviours } from './behaviours.ts';
import { positions, startMesh, type Mesh, type MeshOptions, type Position } from './mesh.ts';
import { table } from '../bench/lib/stats.ts';

interface Row extends Pick<MeshOptions, 'upstream' | 'insecure'> {
  readonly name: string;
}

/** Meshes that run side by side: most of their time they wait. */
const AT_ONCE = 2;
const allBut = (position: Position): Position[] => positions.filter((each) => each !== position);
const rows: readonly Row[] = [
  ...positions.map((position) => ({
    name: `ours with upstream's ${position}`,
    upstream: [position],
    insecure: false,
  })),
  ...positions.map((position) => ({
    name: `upstream's with our ${position}`,
    upstream: allBut(position),
    insecure: false,
  })),
  { name: "upstream's alone", upstream: positions, insecure: false },
  { name: "insecure: ours with upstream's nsc and nse", upstream: ['nsc', 'nse'], insecure: true },
];

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const root = join(import.meta.dirname, '../..');
const binary = process.env['NSM_INTEROP_PROGRAM'] ?? '';
const words = process.argv.slice(2);
const wanted = rows.filter(({ name }) => words.every((word) => name.includes(word)));
const failures: string[] = [];
const cells = new Map<Row, readonly string[]>();
const left = [...wanted];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let row = left.shift(); row; row = left.shift()) cells.set(row, await cellsOf(row));
  }),
);
const lines = wanted.map((row) => [row.name, ...(cells.get(row) ?? [])]);
say(table("Upstream's code and ours, by mesh", ['', ...behaviours.map(({ name }) => name)], lines));
for (const failure of failures) say(failure);
const failed = lines.flat().filter((cell) => cell === 'FAILED').length;
const passed = lines.flat().filter((cell) => cell.startsWith('ok')).length;
say(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

function logFolderOf({ name }: Row): string {
  return join(root, '.cache/interop', name.replaceAll(/[^a-z]+/g, '-'));
}

async function cellsOf(row: Row): Promise<string[]> {
  let mesh: Mesh;
  try {
    mesh = await startMesh({ ...row, binary, logFolder: logFolderOf(row) });
  } catch (thrown) {
    failures.push(`${row.name}, start: ${String(thrown)}`);
    return behaviours.map(() => 'FAILED');
  }
  const cells: string[] = [];
  try {
    for (const { name, check } of behaviours) {
      const started = performance.now();
      try {
        cells.push((await check(mesh)) ?? 'ok');
      } catch (thrown) {
        failures.push(`${row.name}, ${name}: ${String(thrown)}`);
        cells.push('FAILED');
      }
      const seconds = ((performance.now() - started) / 1_000).toFixed(1);
      say(`${row.name}, ${name}: ${cells.at(-1) ?? ''} (${seconds} s)`);
    }
  } finally {
    await mesh.stop();
  }
  return cells;
}
