import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { systemClock } from '@nsm/chain';
import { createAuthority } from '@nsm/identity/authority';
import { heldIdentity } from '@nsm/identity/testing';
import { readTopology } from '@nsm/lab';
import {
  Connection,
  ConnectionEvent,
  Empty,
  MonitorConnectionDefinition,
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointRegistryDefinition,
  NetworkServiceRegistryDefinition,
} from '@nsm/proto';
import { createGrpcTransport, type Identity, type Listener, service } from '@nsm/rpc';
import { cli } from './cli.ts';
import { QUICKSTART } from './quickstart.ts';

const dir = mkdtempSync(join(tmpdir(), 'nsm-cli-'));
const url = `unix://${dir}/mesh.sock`;
const transport = createGrpcTransport();
let listener: Listener | undefined;

const services = [
  NetworkService.fromPartial({ name: 'web', payload: 'IP' }),
  NetworkService.fromPartial({
    name: 'db',
    payload: 'ETHERNET',
    matches: [
      {
        sourceSelector: { app: 'shop' },
        routes: [{ destinationSelector: { tier: 'gold' }, weight: 2 }],
        fallthrough: true,
      },
    ],
  }),
];
const endpoint = NetworkServiceEndpoint.fromPartial({
  name: 'server',
  networkServiceNames: ['web', 'db'],
  networkServiceLabels: { web: { labels: { color: 'red' } } },
  url: 'tcp://10.0.0.2:5001',
  expirationTime: { seconds: 4_000_000_000, nanos: 500_000_000 },
});
const connection = Connection.fromPartial({
  id: 'x',
  networkService: 'web',
  networkServiceEndpointName: 'server',
  payload: 'IP',
  mechanism: { type: 'KERNEL', parameters: { name: 'nsm-1' } },
  context: { ipContext: { srcIpAddrs: ['10.0.0.1/32'], dstIpAddrs: ['10.0.0.0/32'] }, MTU: 1500 },
  path: {
    index: 1,
    pathSegments: ['alice', 'n1', 'f1', 'server'].map((name) => ({ name, id: `${name}-0` })),
  },
});

beforeAll(async () => {
  process.env['NSM_LAB_STATE'] = join(dir, 'none');
  process.env['NSM_INSECURE'] = 'true';
  listener = await transport.serve(url, 'mesh', [
    service(NetworkServiceRegistryDefinition, {
      register: async (entry) => entry,
      unregister: async () => Empty.create(),
      find: async function* () {
        for (const networkService of services) yield { networkService, deleted: false };
      },
    }),
    service(NetworkServiceEndpointRegistryDefinition, {
      register: async (entry) => entry,
      unregister: async () => Empty.create(),
      find: async function* () {
        yield { networkServiceEndpoint: endpoint, deleted: false };
      },
    }),
    service(MonitorConnectionDefinition, {
      monitorConnections: async function* () {
        yield ConnectionEvent.fromPartial({ connections: { x: connection } });
      },
    }),
  ]);
});
afterAll(async () => {
  delete process.env['NSM_LAB_STATE'];
  delete process.env['NSM_INSECURE'];
  await listener?.close(0);
  transport.close();
  rmSync(dir, { recursive: true });
});

/** Runs `nsm` with what it prints caught. */
async function nsm(...argv: string[]) {
  const caught = { out: '', err: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    jest.spyOn(process[stream], 'write').mockImplementation((text) => {
      caught[stream === 'stdout' ? 'out' : 'err'] += String(text);
      return true;
    }),
  );
  try {
    return { code: await cli(argv), ...caught };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe('nsm get', () => {
  test('services', async () => {
    expect(await nsm('get', 'services', '--registry', url)).toEqual({
      code: 0,
      err: '',
      out: 'NAME  PAYLOAD   MATCHES\ndb    ETHERNET        1\nweb   IP              0\n',
    });
    const { out } = await nsm('get', 'services', 'db', '-o', 'wide', '--registry', url);
    expect(out).toContain('app=shop → tier=gold (2); else next');
    expect(out).not.toContain('web');
  });

  test('services as JSON', async () => {
    const { out } = await nsm('get', 'services', '-o', 'json', '--nsmgr', url);
    expect(JSON.parse(out)).toEqual([
      {
        name: 'db',
        payload: 'ETHERNET',
        matches: [
          {
            sourceSelector: { app: 'shop' },
            routes: [{ destinationSelector: { tier: 'gold' }, weight: 2 }],
            fallthrough: true,
            metadata: null,
          },
        ],
      },
      { name: 'web', payload: 'IP', matches: [] },
    ]);
  });

  test('endpoints', async () => {
    const { out } = await nsm('get', 'endpoints', '--registry', url);
    expect(out).toMatch(
      /^NAME +SERVICES +URL +EXPIRES IN\nserver +web, db +tcp:\/\/10.0.0.2:5001 /,
    );
    const json = await nsm('get', 'endpoints', '-o', 'json', '--registry', url);
    expect(JSON.parse(json.out)).toEqual([
      {
        name: 'server',
        services: ['web', 'db'],
        labels: { web: { color: 'red' } },
        url: 'tcp://10.0.0.2:5001',
        expires: '2096-10-02T07:06:40.500Z',
        registered: null,
      },
    ]);
  });

  test('connections', async () => {
    const { out } = await nsm('get', 'connections', 'alice', '-o', 'wide', '--nsmgr', url);
    expect(out.split('\n')[1]).toMatch(
      /^alice +web +server +kernel +nsm-1 +10.0.0.1 +10.0.0.0 +up +alice-0 +IP +1500 +- +- +- +- +alice → n1 → f1 → server$/,
    );
    const json = await nsm('get', 'connections', '-o', 'json', '--nsmgr', url);
    expect(JSON.parse(json.out)).toMatchObject([
      { client: 'alice', state: 'up', setupMs: null, path: ['alice', 'n1', 'f1', 'server'] },
    ]);
    expect(await nsm('get', 'connections', 'bob', '--nsmgr', url)).toMatchObject({
      code: 0,
      out: 'none\n',
    });
  });

  test('without anybody to ask says what to do', async () => {
    const { code, err } = await nsm('get', 'services');
    expect(code).toBe(1);
    expect(err).toContain('no lab is up, and no manager listens on unix:///var/lib/');
    expect(err).toContain('hint: start a lab');
  });

  test('connections of a registry are refused', async () => {
    const { code, err } = await nsm('get', 'connections', '--registry', url);
    expect([code, err]).toEqual([
      1,
      'nsm: a registry knows no connections\nhint: ask a manager: --nsmgr URL\n',
    ]);
  });
});

describe('nsm get, in a mesh with identities', () => {
  const clock = systemClock;
  const authority = createAuthority('nsm.test', 3_600_000, clock);
  const issued = (name: string): Identity => authority.issue(`spiffe://nsm.test/${name}`, 600_000);
  const secure = `unix://${dir}/secure.sock`;
  const callers: unknown[] = [];
  const server = createGrpcTransport(heldIdentity(issued('registry'), clock));
  let serving: Listener | undefined;

  beforeAll(async () => {
    const { certificates, privateKey } = issued('operator');
    writeFileSync(join(dir, 'certificate'), certificates.join(''));
    writeFileSync(join(dir, 'key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(join(dir, 'bundle'), authority.certificate.toString());
    serving = await server.serve(secure, 'registry', [
      service(NetworkServiceRegistryDefinition, {
        register: async (entry) => entry,
        unregister: async () => Empty.create(),
        find: async function* (_query, { peer }) {
          callers.push(peer?.spiffeId);
          yield { networkService: services[0], deleted: false };
        },
      }),
    ]);
  });
  afterAll(async () => {
    await serving?.close(0);
    server.close();
    process.env['NSM_INSECURE'] = 'true';
    delete process.env['NSM_TLS_FILES'];
  });

  test('asks with the identity of its environment', async () => {
    delete process.env['NSM_INSECURE'];
    process.env['NSM_TLS_FILES'] = ['certificate', 'key', 'bundle']
      .map((name) => `${name}:${join(dir, name)}`)
      .join(',');
    const { code, out, err } = await nsm('get', 'services', '--registry', secure);
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('web');
    expect(callers).toEqual(['spiffe://nsm.test/operator']);
  });

  test('says what is missing where there is none', async () => {
    delete process.env['NSM_INSECURE'];
    delete process.env['NSM_TLS_FILES'];
    const { code, err } = await nsm('get', 'services', '--registry', secure);
    expect(code).toBe(1);
    expect(err).toContain('an identity is required');
  });
});

describe('nsm', () => {
  test.each([
    [[], 'which command?'],
    [['upp'], 'there is no command "upp"'],
    [['lab', 'upp'], 'there is no command "lab upp"'],
    [['lab', 'up'], 'nsm lab up needs FILE\nusage: nsm lab up FILE'],
    [['lab', 'up', 'a', 'b'], '"b" is one argument too many'],
    [['lab', 'down', '--force'], "Unknown option '--force'\nusage: nsm lab down [NAME|FILE]"],
    [['get', 'pods'], 'nsm get knows no "pods"; it knows services, endpoints, connections'],
    [['get', 'services', '-o', 'xml'], '-o xml: allowed are table, wide, json'],
    [
      ['get', 'services', '--lab', 'a', '--nsmgr', 'b'],
      'only one of --lab, --registry and --nsmgr',
    ],
    [['lab', 'ping', 'a', 'b', '-c', 'x'], '-c takes a whole number'],
    [['check', '-o', 'wide'], '-o wide: allowed are table and json'],
    [['quickstart', 'now'], '"now" is one argument too many'],
  ])('typed as %j is refused with its usage', async (argv, message) => {
    const { code, err, out } = await nsm(...argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err).toContain('usage: nsm');
  });

  test.each([['--help'], ['lab', '--help'], ['lab', 'up', '--help'], ['get', '-h']])(
    'explains itself: %s %s %s',
    async (...argv) => {
      const { code, out, err } = await nsm(...argv);
      expect([code, err]).toEqual([0, '']);
      expect(out).toContain('usage: nsm');
    },
  );

  test('tells its version', async () => {
    expect((await nsm('--version')).out).toBe('nsm unbuilt (commit unknown)\n');
  });

  test('checks this machine, whose exit code says whether anything needed is missing', async () => {
    const { code, out, err } = await nsm('check', '-o', 'json');
    const findings = JSON.parse(out) as { name: string; state: string; remedy: string | null }[];
    expect(err).toBe('');
    expect(code).toBe(findings.some(({ state }) => state === 'missing') ? 1 : 0);
    expect(findings.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['version', 'veth', 'wireguard', 'CAP_NET_ADMIN', 'Node']),
    );
    for (const { state, remedy } of findings) expect(remedy === null).toBe(state === 'ok');
  });

  test('has no lab that is not up', async () => {
    const { code, err } = await nsm('lab', 'inspect', 'moon');
    expect(code).toBe(1);
    expect(err).toContain('there is no lab "moon"\nhint: no lab is up');
  });

  test('has a quick start whose topology is without fault', () => {
    const { name, clients } = readTopology(QUICKSTART);
    expect([name, clients.length]).toEqual(['quickstart', 2]);
  });

  test('reports every fault of a topology', async () => {
    const file = join(dir, 'bad.yaml');
    writeFileSync(file, 'name: x\nnodes: {a: {}}\nclients: {c: {node: b}}\nlinks: []\n');
    const { code, err } = await nsm('lab', 'up', file);
    expect(code).toBe(1);
    expect(err).toBe(
      `nsm: ${file}:3:21 clients.c.node: no node is called "b"; nodes are a
${file}:4:1 links: there is no such field; allowed are name, insecure, underlay, registry, nodes, services, endpoints, clients
hint: ${file} has 2 faults; nothing was started
`,
    );
  });
});
