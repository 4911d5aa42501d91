import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { formatNetns, netnsOf } from '@nsm/netlink';
import {
  HealthCheckResponse_ServingStatus as Serving,
  HealthDefinition,
  MonitorConnectionDefinition,
  NetworkServiceDefinition,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRegistryDefinition,
} from '@nsm/proto';
import { startHop } from './hop.ts';
import { endpointOf, registryAs, serviceOf, startRegistry } from './parts.ts';
import { callerOf, createStage, kernel, refusal, type Stage } from './stage.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

/** Real processes; they end with the test. */
let folder: string;
let stage: Stage;
const running: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nsm-'));
  stage = createStage('grpc');
});
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await stage.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the main program of a service; resolves when it says that it is ready. */
async function run(program: string, env: Record<string, string>): Promise<ChildProcess> {
  const main = join(ROOT, 'services', program, 'src', 'main.ts');
  const child = spawn(process.execPath, ['--conditions=source', main], {
    env: { NSM_INSECURE: 'true', NSM_LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  let said = '';
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    if (said.includes('"ready"')) resolve(undefined);
  });
  child.once('close', () => reject(new Error(`${program} did not start: ${said}`)));
  await promise;
  return child;
}

const url = (name: string): string => `unix://${folder}/${name}.sock`;

describe('a registry process', () => {
  test('98: health is SERVING for the whole and for each service by its full name', async () => {
    await run('registry', { NSM_LISTEN_ON: url('registry') });
    const health = stage.transport.client(HealthDefinition, url('registry'));
    for (const service of [
      '',
      NetworkServiceRegistryDefinition.fullName,
      NetworkServiceEndpointRegistryDefinition.fullName,
    ])
      expect(await health.check({ service })).toEqual({ status: Serving.SERVING });
    expect((await refusal(health.check({ service: 'nobody' }))).code).toBe('not-found');
  });

  test('100: a stale socket file is replaced, with mode 0777', async () => {
    const path = join(folder, 'registry.sock');
    const first = await run('registry', { NSM_LISTEN_ON: url('registry') });
    const client = registryAs(stage, 'me', url('registry'));
    await client.endpoints.register(endpointOf('nse', 'tcp://n1:5001', 'svc'));
    first.kill('SIGKILL');
    await once(first, 'exit');
    expect(statSync(path).isSocket()).toBe(true);
    chmodSync(path, 0o600);
    await run('registry', { NSM_LISTEN_ON: url('registry') });
    expect(statSync(path).isSocket()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o777);
    expect(await client.endpoints.find({})).toEqual([]);
  });

  test('100: what is there and no socket is left alone (ours)', async () => {
    writeFileSync(join(folder, 'registry.sock'), 'mine');
    await expect(run('registry', { NSM_LISTEN_ON: url('registry') })).rejects.toThrow(
      'exists and is not a socket',
    );
  });
});

describe('a manager process', () => {
  test('64: the prefixes of the excluded-prefix file reach the next hop, and a change of it too', async () => {
    const file = join(folder, 'excluded.yaml');
    writeFileSync(file, 'prefixes: [10.0.0.0/8]\n');
    const registry = await startRegistry(stage, { url: url('registry') });
    await registry.services.register(serviceOf('svc'));
    await run('nsmgr', {
      NSM_NAME: 'mgr',
      NSM_LISTEN_ON: url('mgr'),
      NSM_REGISTRY_URL: registry.url,
      NSM_EXCLUDED_PREFIXES_FILE: file,
      NODE_NAME: 'n1',
    });
    const hop = await startHop(stage, 'fwd', url('fwd'), ['nse']);
    const manager = registryAs(stage, 'fwd', url('mgr'));
    await manager.endpoints.register(endpointOf('fwd', hop.url, 'forwarder', { p2p: 'true' }));
    const a = callerOf(stage, url('mgr'));
    // The manager asks whoever names a namespace for a proof; it lives in its own.
    const own = kernel({ inodeURL: formatNetns(netnsOf('/proc/self/ns/net')) });
    const excluded = async (): Promise<string[]> => {
      await a.request({}, { preferences: [own] });
      return hop.requests().at(-1)!.context!.ipContext!.excludedPrefixes;
    };
    expect(await excluded()).toEqual(['10.0.0.0/8']);
    expect(hop.requests()[0]!.labels).toEqual({ nodeName: 'n1' });
    // In one step, as whoever replaces a file that is being read has to.
    writeFileSync(`${file}.new`, 'prefixes: [10.0.0.0/8, 192.168.0.0/16]\n');
    renameSync(`${file}.new`, file);
    let now = await excluded();
    while (now.length < 2) now = await excluded();
    expect(now).toEqual(['10.0.0.0/8', '192.168.0.0/16']);
  });

  test('98: health is SERVING for each of its services', async () => {
    const registry = await startRegistry(stage, { url: url('registry') });
    await run('nsmgr', { NSM_LISTEN_ON: url('mgr'), NSM_REGISTRY_URL: registry.url });
    const health = stage.transport.client(HealthDefinition, url('mgr'));
    for (const { fullName } of [
      NetworkServiceDefinition,
      MonitorConnectionDefinition,
      NetworkServiceRegistryDefinition,
      NetworkServiceEndpointRegistryDefinition,
    ])
      expect(await health.check({ service: fullName })).toEqual({ status: Serving.SERVING });
  });

  test('draining: whoever watches its health hears that it is withdrawn, before the process ends in order', async () => {
    const registry = await startRegistry(stage, { url: url('registry') });
    const child = await run('nsmgr', {
      NSM_LISTEN_ON: url('mgr'),
      NSM_REGISTRY_URL: registry.url,
    });
    const ended = once(child, 'exit');
    const seen: Serving[] = [];
    for await (const { status } of stage.transport
      .client(HealthDefinition, url('mgr'))
      .watch({ service: '' })) {
      seen.push(status);
      if (status === Serving.SERVING) child.kill('SIGTERM');
      else break;
    }
    expect(seen).toEqual([Serving.SERVING, Serving.NOT_SERVING]);
    expect(await ended).toEqual([0, null]);
  });
});
