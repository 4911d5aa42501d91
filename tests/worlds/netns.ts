import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@nsm/chain';
import { insecureTokens, svidTokens } from '@nsm/identity';
import { parseTopology, startLab, type Lab } from '@nsm/lab';
import { NetworkServiceDefinition } from '@nsm/proto';
import type { World, WorldOptions } from './world.ts';

interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly kind?: string;
}

/** Real processes, real sockets, real packets: the lab of the command line. */
export const startNetns = async (
  topology: string,
  {
    tokenLifetime,
    requestTimeout,
    env = {},
    callerTokenMs = 600_000,
  }: WorldOptions & {
    /** Settings of every process. @default none */
    readonly env?: Readonly<Record<string, string>>;
    /** How long the tokens of a test that asks by itself last. @default 10 min */
    readonly callerTokenMs?: number;
  } = {},
): Promise<World & { readonly lab: Lab }> => {
  const stateRoot = mkdtempSync(join(tmpdir(), 'nsm-'));
  const removeRoot = (): void => rmSync(stateRoot, { recursive: true, force: true });
  const lab = await startLab(parseTopology(topology), {
    places: { stateRoot, netnsFolder: join(stateRoot, 'netns') },
    maxTokenLifetime: tokenLifetime,
    requestTimeout,
    env: () => env,
  }).catch((err: unknown) => {
    removeRoot();
    throw err;
  });
  const { dialer, identity } = lab;
  return {
    lab,
    connected: async (client) => {
      await lab.waitConnected(client);
    },
    start: (process) => lab.restart(process),
    end: (process) => lab.kill(process, 'SIGTERM'),
    kill: (process) => lab.kill(process, 'SIGKILL'),
    wires: () => lab.wires(),
    ping: async (pod, address) => {
      const { received } = await lab.ping(pod, address, {
        count: 3,
        intervalMs: 20,
        timeoutMs: 500,
      });
      return received > 0;
    },
    links: async (pod) => lab.addresses(pod).map((link) => JSON.stringify(link)),
    refusals: async (client) =>
      logOf(lab, client).flatMap(({ level, msg = '' }) => (level === 'warn' ? [msg] : [])),
    refreshes: async (client) => logOf(lab, client).filter(({ msg }) => msg === 'refreshed').length,
    heals: async (client) => logOf(lab, client).filter(({ msg }) => msg === 'healed').length,
    manager: (node) => dialer.client(NetworkServiceDefinition, lab.plan.managerUrls[node] ?? ''),
    tokens: identity
      ? svidTokens(identity, callerTokenMs, systemClock, {
          certificates: env['NSM_POLICY_SET'] === 'closed',
        })
      : insecureTokens('direct', callerTokenMs, systemClock),
    netns: (pod) => {
      const { dev, ino } = statSync(lab.netns(pod), { bigint: true });
      return `inode://${dev}/${ino}`;
    },
    census: async () => {
      const { namespaces, sockets, registry, strangers } = await lab.census();
      return { namespaces, sockets, registry, strangers };
    },
    stop: async () => {
      await lab.stop();
      removeRoot();
    },
  };
};

function logOf(lab: Lab, process: string): LogLine[] {
  const log = lab.processes().find(({ name }) => name === process)?.log;
  if (log === undefined) throw new Error(`no process is called ${process}`);
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}
