// Renders the Helm chart with Helm, compares with what is kept in tests/chart/golden, and validates it against the schemas of
// Kubernetes. Usage: npm run test:chart [-- --install] [--update] [--server]. Needs helm and kubeconform in PATH and go, or --install, which
// builds both as Go modules into .cache (some minutes, once). --update: keep what is rendered now. --server: install it on an API server too, which
// is built likewise (ten minutes, once) and needs etcd (Debian etcd-server; as root --install gets it). Exit code 77: something is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { has, installMissing } from './debian-packages.mjs';
import { buildApiServer } from './kube-apiserver.mjs';

const root = join(import.meta.dirname, '..');
const folder = join(root, '.cache', 'chart-tools');
const args = process.argv.slice(2);
const TOOLS = {
  helm: 'helm.sh/helm/v3/cmd/helm@v3.18.6',
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7',
};
const ETCD = { etcd: 'etcd-server' };
const say = (text) => console.log(`test:chart: ${text}`);
/** A library of that Helm, which has the API server's own description of its kinds beside it. */
const SCHEMAS = 'k8s.io/cli-runtime@v0.33.3';

function giveUp(reason) {
  console.error(`test:chart: not run: ${reason}`);
  process.exit(77);
}

function find(tool) {
  const built = join(folder, tool);
  if (existsSync(built)) return built;
  if (!spawnSync(tool, ['--help']).error) return tool;
  if (!args.includes('--install'))
    giveUp(`there is no ${tool}; npm run test:chart -- --install builds it with go`);
  say(`building ${TOOLS[tool]}`);
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: '0' };
  const { status } = spawnSync('go', ['install', TOOLS[tool]], { stdio: 'inherit', env });
  if (status !== 0) giveUp(`${tool} could not be built: is go installed?`);
  return built;
}

function schemas() {
  const { stdout, status } = spawnSync('go', ['mod', 'download', '-json', SCHEMAS], {
    encoding: 'utf8',
  });
  if (status !== 0) giveUp(`${SCHEMAS} could not be had with go`);
  return join(JSON.parse(stdout).Dir, 'artifacts/openapi/swagger.json');
}

/** The API server where it is asked for. */
function server() {
  if (!args.includes('--server')) return undefined;
  const fault = args.includes('--install') ? installMissing(ETCD, say) : undefined;
  if (!has('etcd'))
    giveUp(`there is no etcd; ${fault ?? 'as root: npm run test:chart -- --install --server'}`);
  return buildApiServer(folder);
}

const [helm, kubeconform, swagger] = [find('helm'), find('kubeconform'), schemas()];
const apiServer = server();
const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/jest/bin/jest.js'),
    '--config',
    'jest.chart.config.js',
    ...(apiServer === undefined ? ['--testPathIgnorePatterns', 'server.test'] : []),
    ...args.filter((arg) => !['--install', '--update', '--server'].includes(arg)),
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      NSM_TEST_CHART: JSON.stringify({
        helm,
        kubeconform,
        swagger,
        apiServer,
        update: args.includes('--update'),
      }),
      NODE_OPTIONS:
        '--conditions=source --experimental-vm-modules --disable-warning=ExperimentalWarning',
    },
  },
);
process.exit(status ?? 1);
