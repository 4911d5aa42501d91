// Whether anything fails while identities change all the time, and while the identity server is away: failed Requests, of new wires
// and of refreshes. Run it with: npm run bench -- rotation [SECONDS]
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { svidTokens, tokenHeaders } from '@nsm/identity';
import { systemClock } from '@nsm/chain';
import { parseTopology, startLab, type Lab } from '@nsm/lab';
import { NetworkServiceDefinition, NetworkServiceRequest, type Connection } from '@nsm/proto';
import { table } from './lib/stats.ts';

const seconds = Number(process.argv[2] ?? 120);
const CLIENTS = 4;
/** A new identity comes at half of this. */
const TTL_S = 10;
const AWAY_TTL_S = 40;

const topology = (name: string): string => `
name: ${name}
nodes: { n1: {}, n2: {} }
services: { far: { payload: IP } }
endpoints:
  far: { node: n2, services: [far], prefixes: [172.16.0.0/20] }
clients:
  a: { node: n1, services: [kernel://far/nsm-1] }
`;

interface Count {
  asked: number;
  readonly failures: string[];
}

/** Asks for wires, refreshes each of them some times and closes it, until it is told to stop. */
async function load(lab: Lab, k: number, count: Count, goOn: () => boolean): Promise<void> {
  const tokens = svidTokens(lab.identity!, 600_000, systemClock);
  const headers = async (server: Parameters<typeof tokens.issue>[0]) =>
    tokenHeaders(await tokens.issue(server));
  const { dev, ino } = statSync(lab.netns('a'), { bigint: true });
  const manager = lab.dialer.client(NetworkServiceDefinition, lab.plan.managerUrls['n1'] ?? '');
  const ask = async (id: string, was: Connection | undefined): Promise<Connection | undefined> => {
    count.asked += 1;
    const request = NetworkServiceRequest.fromPartial({
      connection: was ?? {
        id,
        networkService: 'far',
        path: { index: 0, pathSegments: [{ name: 'load', id }] },
      },
      mechanismPreferences: [
        {
          cls: 'LOCAL',
          type: 'KERNEL',
          parameters: { name: `l${k}`, inodeURL: `inode://${dev}/${ino}` },
        },
      ],
    });
    return manager
      .request(request, { headers, deadline: Date.now() + 30_000 })
      .catch((err: unknown) => {
        count.failures.push(String(err));
        return was;
      });
  };
  for (let n = 0; goOn(); n += 1) {
    let wire = await ask(`load-${k}-${n}`, undefined);
    for (let i = 0; i < 10 && goOn(); i += 1) wire = await ask(`load-${k}-${n}`, wire);
    if (wire) await manager.close(wire, { headers, deadline: Date.now() + 30_000 });
  }
}

async function measured(ttlS: number, run: (lab: Lab) => Promise<void>): Promise<Count> {
  const stateRoot = mkdtempSync(join(tmpdir(), 'nsm-rotation-'));
  const lab = await startLab(parseTopology(topology('rot')), {
    places: { stateRoot, netnsFolder: join(stateRoot, 'netns') },
    env: ({ program }) => (program === 'identity' ? { NSM_SVID_TTL: `${ttlS}s` } : {}),
  });
  const count: Count = { asked: 0, failures: [] };
  try {
    await lab.waitConnected('a');
    let going = true;
    const loads = Array.from({ length: CLIENTS }, (_, k) => load(lab, k, count, () => going));
    await run(lab);
    going = false;
    await Promise.all(loads);
    return count;
  } finally {
    await lab.stop();
    rmSync(stateRoot, { recursive: true, force: true });
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

process.stderr.write(`… rotation every ${TTL_S / 2} s for ${seconds} s\n`);
const rotated = await measured(TTL_S, () => sleep(seconds * 1_000));
process.stderr.write('… the identity server is away until just before identities end\n');
const away = await measured(AWAY_TTL_S, async (lab) => {
  await sleep(1_000);
  await lab.kill('identity', 'SIGKILL');
  // At least half of their time is left to identities, and all but 12 s of that is spent: the server has to start on a busy machine.
  await sleep((AWAY_TTL_S / 2 - 12) * 1_000);
  await lab.restart('identity');
  await sleep(AWAY_TTL_S * 1_000);
});
process.stdout.write(
  table(
    `Requests under load (${CLIENTS} at a time, new wires and refreshes between two nodes)`,
    ['', 'asked', 'failed'],
    [
      [
        `a new identity for everybody every ${TTL_S / 2} s, ${seconds} s long`,
        String(rotated.asked),
        String(rotated.failures.length),
      ],
      [
        'the identity server killed, and back before identities end',
        String(away.asked),
        String(away.failures.length),
      ],
    ],
  ),
);
for (const failure of [...rotated.failures, ...away.failures].slice(0, 10))
  process.stdout.write(`${failure}\n`);
process.exitCode = rotated.failures.length + away.failures.length > 0 ? 1 : 0;
