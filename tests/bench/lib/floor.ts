import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePrefix } from '@nsm/ip';
import type { Lab } from '@nsm/lab';
import {
  addressReplace,
  linkDelete,
  linkSet,
  openNetns,
  routeReplace,
  vethAdd,
  withRtnetlink,
} from '@nsm/netlink';
import { NetworkServiceDefinition, type Connection } from '@nsm/proto';
import { createGrpcTransport } from '@nsm/rpc';
import { median } from './stats.ts';

/** What a wire cannot be faster than on this machine at this time: calls that do nothing, and the kernel's work alone. */
export interface Floor {
  /** One call to a process that answers at once, in ms. */
  call(connection: Connection): Promise<number>;
  close(): void;
}

/** Starts a process to call, with the flags that the programs of a lab have. */
export async function startFloor(): Promise<Floor> {
  const folder = mkdtempSync(join(tmpdir(), 'nsm-floor-'));
  const url = `unix://${join(folder, 'echo.sock')}`;
  const server = fork(join(import.meta.dirname, 'echo.ts'), [url], {
    execArgv: ['--conditions=source', '--max-semi-space-size=1'],
  });
  await once(server, 'message');
  const transport = createGrpcTransport();
  const client = transport.client(NetworkServiceDefinition, url);
  return {
    call: async (connection) => {
      const request = { connection, mechanismPreferences: [] };
      const started = performance.now();
      await client.request(request, { deadline: Date.now() + 10_000 });
      return performance.now() - started;
    },
    close: () => {
      transport.close();
      server.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

const ROUNDS = 40;

/** A veth pair between two pods with an address and a route at each end, in as few netlink messages as it takes: p50 in ms. */
export function vethFloor(lab: Lab, from: string, to: string): number {
  const index = { near: 0x7100_0000, far: 0x7100_0001 };
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    const far = openNetns(lab.netns(to));
    withRtnetlink(lab.netns(from), (rt) => {
      rt.request([
        vethAdd(
          { name: 'floor0', index: index.near },
          { name: 'floor0', index: index.far, netns: far },
        ),
        ...programmed(index.near, '198.51.100.1/32', '198.51.100.0/32'),
      ]);
    });
    withRtnetlink(far, (rt) => {
      rt.request(programmed(index.far, '198.51.100.0/32', '198.51.100.1/32'));
    });
    closeSync(far);
    times.push(performance.now() - started);
    withRtnetlink(lab.netns(from), (rt) => rt.request([linkDelete(index.near)]));
  }
  return median(times);
}

const programmed = (index: number, own: string, peer: string) => [
  linkSet(index, { up: true }),
  addressReplace(index, parsePrefix(own)),
  routeReplace(index, { to: parsePrefix(peer), scope: 'link' }),
];
