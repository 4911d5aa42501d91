// Makes everything under proto/src/gen from proto/files. `--check` compares with what is committed and changes nothing.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const buf = (cwd, ...args) =>
  execFileSync(join(root, 'node_modules/.bin/buf'), args, { cwd, maxBuffer: 1 << 26 });

/** Generates into `proto/src/gen` below `base`. */
function generate(base) {
  const proto = join(base, 'proto');
  buf(proto, 'generate');
  const set = buf(proto, 'build', '-o', '-#format=binpb');
  const lines = set
    .toString('base64')
    .match(/.{1,110}/g)
    .map((line) => `  '${line}',`);
  writeFileSync(
    join(proto, 'src/gen/descriptor-set.ts'),
    `// Made by scripts/generate.mjs. DO NOT EDIT.
/* eslint-disable */
/** A google.protobuf.FileDescriptorSet of the whole protocol, for server reflection. */
export const descriptorSet: Uint8Array = Buffer.from([
${lines.join('\n')}
].join(''), 'base64');
`,
  );
}

const files = (dir) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(dir.length))
    .sort();

if (process.argv.includes('--check')) {
  const copy = mkdtempSync(join(tmpdir(), 'nsm-gen-'));
  try {
    cpSync(join(root, 'proto'), join(copy, 'proto'), {
      recursive: true,
      filter: (f) => !f.includes('node_modules'),
    });
    // The plugin is named relative to the proto folder.
    execFileSync('ln', ['-s', join(root, 'node_modules'), join(copy, 'node_modules')]);
    generate(copy);
    const [a, b] = [join(root, 'proto/src/gen'), join(copy, 'proto/src/gen')];
    const stale = [...new Set([...files(a), ...files(b)])].filter((f) => {
      try {
        return !readFileSync(a + f).equals(readFileSync(b + f));
      } catch {
        return true;
      }
    });
    if (stale.length > 0) {
      console.error(`not current: ${stale.join(' ')}; run: npm run generate`);
      process.exit(1);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
} else {
  generate(root);
}
