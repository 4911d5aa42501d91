import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../worlds/world.ts';

const chart = join(import.meta.dirname, '../../charts/nsm');
const values = join(import.meta.dirname, 'values');
/** As scripts/test-chart.mjs has found or built them. */
const { helm, apiServer } = JSON.parse(process.env['NSM_TEST_CHART'] ?? '{}') as {
  readonly helm: string;
  readonly apiServer: string;
};
const run = promisify(execFile);

let folder: string;
let server: string;
const processes: ChildProcess[] = [];

async function freePort(): Promise<number> {
  const listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  listening.close();
  await once(listening, 'close');
  return port;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  const [client, peer, secure] = [await freePort(), await freePort(), await freePort()];
  const store = `http://127.0.0.1:${client}`;
  const key = join(folder, 'accounts.pem');
  const pem = { type: 'pkcs8', format: 'pem' } as const;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  writeFileSync(key, privateKey.export(pem));
  writeFileSync(join(folder, 'tokens.csv'), 'operator,operator,operator,"system:masters"\n');
  const start = (program: string, options: Readonly<Record<string, string>>): void => {
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    processes.push(spawn(program, args, { stdio: 'ignore' }));
  };
  start('etcd', {
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': store,
    'advertise-client-urls': store,
    'listen-peer-urls': `http://127.0.0.1:${peer}`,
  });
  start(apiServer, {
    'etcd-servers': store,
    'cert-dir': join(folder, 'certificates'),
    'bind-address': '127.0.0.1',
    'advertise-address': '127.0.0.1',
    'secure-port': String(secure),
    'service-account-issuer': 'https://kubernetes.default',
    'service-account-key-file': key,
    'service-account-signing-key-file': key,
    'service-cluster-ip-range': '10.96.0.0/16',
    'token-auth-file': join(folder, 'tokens.csv'),
  });
  server = `https://127.0.0.1:${secure}`;
  await eventually(
    () => call('list').catch(() => undefined),
    (told) => told !== undefined,
    120_000,
    500,
  );
});
afterAll(async () => {
  for (const process of processes.toReversed()) {
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
  }
  rmSync(folder, { recursive: true });
});

const call = async (...args: readonly string[]): Promise<string> => {
  const whom = ['--kube-apiserver', server, '--kube-token', 'operator'];
  const { stdout } = await run(helm, [...whom, '--kube-insecure-skip-tls-verify', ...args]);
  return stdout;
};

// Nothing runs its pods: this is about what Kubernetes takes.
test.each(readdirSync(values))(
  'an API server of Kubernetes takes install, upgrade and uninstall with the values %s',
  async (file) => {
    const name = file.replace('.yaml', '');
    const where = ['--namespace', name];
    // Its kind is the Prometheus operator's, which is not there.
    const what = ['--values', join(values, file), '--set', 'metrics.podMonitor.enabled=false'];
    const installed = await call('install', 'mesh', chart, ...where, '--create-namespace', ...what);
    expect(installed).toContain('STATUS: deployed');
    const upgraded = await call(
      'upgrade',
      'mesh',
      chart,
      ...where,
      ...what,
      '--set',
      'logLevel=debug',
    );
    expect(upgraded).toContain('REVISION: 2');
    expect(await call('uninstall', 'mesh', ...where)).toContain('uninstalled');
    expect(await call('list', '--all', '--short', ...where)).toBe('');
  },
);
