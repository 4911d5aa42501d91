// The API server of Kubernetes, built of its Go module: it takes some minutes and 150 MB, once.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const VERSION = '1.33.3';

/** Answers the program in `folder`, built where it is missing. @throws Error */
export function buildApiServer(folder) {
  const program = join(folder, 'kube-apiserver');
  if (existsSync(program)) return program;
  const source = join(folder, 'kube-apiserver-build');
  mkdirSync(source, { recursive: true });
  const go = (...args) => {
    const { status, stdout } = spawnSync('go', args, {
      cwd: source,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, CGO_ENABLED: '0' },
    });
    if (status !== 0) throw new Error(`go ${args.join(' ')} failed`);
    return stdout;
  };
  const module = `k8s.io/kubernetes@v${VERSION}`;
  const { Dir } = JSON.parse(go('mod', 'download', '-json', module));
  // Its own go.mod looks for its libraries beside it, where a module does not have them; they are modules of their own.
  const staged = readFileSync(join(Dir, 'go.mod'), 'utf8').matchAll(/(\S+) => \.\/staging/g);
  const libraries = [...staged].map(
    ([, name]) => `${name} => ${name} v${VERSION.replace('1', '0')}`,
  );
  writeFileSync(
    join(source, 'go.mod'),
    `module build\n\ngo 1.24\n\nrequire ${module.replace('@', ' ')}\n\nreplace (\n${libraries.join('\n')}\n)\n`,
  );
  const main = 'k8s.io/kubernetes/cmd/kube-apiserver';
  writeFileSync(
    join(source, 'tools.go'),
    `//go:build tools\n\npackage tools\n\nimport _ "${main}"\n`,
  );
  go('mod', 'tidy', '-e');
  const told = `-X k8s.io/component-base/version.gitVersion=v${VERSION}`;
  go('build', '-ldflags', told, '-o', program, main);
  return program;
}
