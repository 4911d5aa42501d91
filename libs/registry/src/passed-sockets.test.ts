import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chain } from '@nsm/chain';
import { createFakeClock } from '@nsm/chain/testing';
import { insecureTokens, tokenHeaders } from '@nsm/identity';
import { createPolicies } from '@nsm/policy';
import {
  Connection,
  Empty,
  NetworkServiceDefinition,
  NetworkServiceEndpoint,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRequest,
} from '@nsm/proto';
import { createGrpcTransport, service, type Descriptors } from '@nsm/rpc';
import { registryClient } from './client.ts';
import { keep } from './elements/keep.ts';
import { updatePath } from './elements/update-path.ts';
import { findIn } from './find.ts';
import { serveRegistryFront, type RegistryFront } from './front.ts';
import { endpointKind, serviceKind } from './kind.ts';
import { createMemoryStore } from './memory-store.ts';
import { begin, createRegistrations } from './registrations.ts';
import { serveRegistry } from './serve.ts';

const O_PATH = 0x20_0000;
const clock = createFakeClock(Date.now());
const tokens = insecureTokens('nse', 600_000, clock);
const policies = createPolicies();

let dir: string;
let front: RegistryFront;
const stops: (() => unknown)[] = [];

/** A manager as registry, over real sockets; the endpoint's socket is where nobody else looks. */
const start = async () => {
  const at = (name: string): string => `unix://${dir}/${name}`;
  const transport = () => {
    const made = createGrpcTransport();
    stops.push(() => made.close());
    return made;
  };
  const serve = async (...args: Parameters<ReturnType<typeof transport>['serve']>) => {
    const listener = await transport().serve(...args);
    stops.push(() => listener.close(0));
  };
  const services = createMemoryStore(serviceKind);
  const endpoints = createMemoryStore(endpointKind);
  const half = { services, endpoints };
  await serve(
    at('registry'),
    'registry',
    serveRegistry({
      services: {
        chain: chain(updatePath(tokens), begin(createRegistrations()), keep(half.services)),
        find: findIn(services),
      },
      endpoints: {
        chain: chain(updatePath(tokens), begin(createRegistrations()), keep(half.endpoints)),
        find: findIn(endpoints),
      },
      now: () => clock.now(),
    }),
  );
  const manager = transport();
  const client = registryClient(manager, at('registry'), {
    tokens,
    policies,
    clock,
    random: () => 0.5,
  });
  front = serveRegistryFront({
    client,
    publicUrl: 'tcp://node-1:5001',
    tokens,
    policies,
    clock,
    sockets: manager.sockets,
  });
  stops.push(() => front.close());
  await serve(at('manager'), 'nsmgr', front.services);
  await serve(at('nse'), 'nse', [
    service(NetworkServiceDefinition, {
      request: async () => Connection.fromPartial({ id: 'from the endpoint' }),
      close: async () => Empty.create(),
    }),
  ]);
  const { dev, ino } = statSync(join(dir, 'nse'), { bigint: true });
  const url = `inode://${dev}/${ino}`;
  const registering = transport().client(NetworkServiceEndpointRegistryDefinition, at('manager'));
  const send = (line: Descriptors | undefined): void => {
    const fd = openSync(join(dir, 'nse'), O_PATH);
    line!.send(fd);
    closeSync(fd);
  };
  const options = async (onConnection = send) => ({
    headers: tokenHeaders(await tokens.issue(undefined)),
    onConnection,
  });
  const entry = NetworkServiceEndpoint.fromPartial({
    name: 'e',
    url,
    networkServiceNames: ['web'],
  });
  const dial = async (from: ReturnType<typeof transport>) => {
    const { id } = await from
      .client(NetworkServiceDefinition, url)
      .request(NetworkServiceRequest.create(), { deadline: Date.now() + 10_000 });
    return id;
  };
  const forwarder = transport();
  const found = registryClient(forwarder, at('manager'), {
    tokens,
    policies,
    clock,
    random: () => 0.5,
  });
  return { registering, options, entry, url, manager, forwarder, found, dial };
};

beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'sock-'))));
afterEach(async () => {
  for (let stop = stops.pop(); stop; stop = stops.pop()) await stop();
  rmSync(dir, { recursive: true });
});

/** How many descriptors of the endpoint's socket file are open here: its server's own has no path. */
const held = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === join(dir, 'nse');
    } catch {
      return false;
    }
  }).length;

test('an endpoint is reached by the descriptor of its socket, by the manager and by who finds it there', async () => {
  const { registering, options, entry, url, manager, forwarder, found, dial } = await start();
  await registering.register(entry, await options());
  const answered = await registering.register(entry, await options());
  expect(answered.url).toBe(url);
  expect(await dial(manager)).toBe('from the endpoint');
  expect((await found.endpoints.findFirst({ name: 'e' }))?.url).toBe(url);
  expect(await dial(forwarder)).toBe('from the endpoint');
  await registering.unregister(entry, await options(() => undefined));
  await expect(dial(manager)).rejects.toMatchObject({ code: 'unavailable' });
});

test('what nobody holds any more is closed', async () => {
  const { registering, options, entry, found } = await start();
  const leave = new AbortController();
  const changes = found.endpoints.stream({}, true, { signal: leave.signal });
  const each = changes[Symbol.asyncIterator]();
  const next = async () => {
    const item = await each.next();
    if (item.done) throw new Error('the stream has ended');
    return item.value;
  };
  const first = next();
  await registering.register(entry, await options());
  expect((await first).deleted).toBe(false);
  expect(held()).toBe(2);
  await registering.unregister(entry, await options(() => undefined));
  while (!(await next()).deleted);
  expect(held()).toBe(0);
  leave.abort();
});

test('a socket of which nothing comes is refused', async () => {
  const { registering, options, entry } = await start();
  await expect(registering.register(entry, await options(() => undefined))).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringContaining('no descriptor of it has come'),
  });
});
