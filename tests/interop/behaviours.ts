import { State, type Connection } from '@nsm/proto';
import { CLIENT_TOKEN_MS, REGISTRATION_MS, until, wireOf, type Mesh } from './mesh.ts';

/** One column of the table. Throws what is wrong; answers why it does not apply here, or nothing. */
export interface Behaviour {
  readonly name: string;
  readonly check: (mesh: Mesh) => Promise<string | undefined>;
}

const LOCAL = ['alice', 'n1', 'forwarder-n1', 'nse-near'];
const REMOTE = ['bob', 'n1', 'forwarder-n1', 'n2', 'forwarder-n2', 'nse-far'];
const ENDPOINTS = ['nse-near', 'nse-far'];
/** What a machine under load may take on top of the time that something has to take. */
const SLACK_MS = 20_000;

const namesOf = (connection: Connection | undefined): string[] =>
  connection?.path?.pathSegments.map(({ name }) => name) ?? [];
const endpointOf = (connection: Connection | undefined): string =>
  connection?.networkServiceEndpointName ?? '';
/** When the first token of a path was said to end, in ms. */
const expiryOf = (connection: Connection | undefined): number => {
  const expires = connection?.path?.pathSegments[0]?.expires;
  return (expires?.seconds ?? 0) * 1_000 + (expires?.nanos ?? 0) / 1e6;
};

/** In the order they are tried: each goes on from where the one before has left the mesh. */
export const behaviours: readonly Behaviour[] = [
  {
    name: 'request, local',
    check: async (mesh) => reaches(mesh, 'alice', LOCAL),
  },
  {
    name: 'request, remote',
    check: async (mesh) => reaches(mesh, 'bob', REMOTE),
  },
  {
    name: 'packets',
    check: async (mesh) => {
      for (const client of ['alice', 'bob', 'carol']) {
        const [address = ''] =
          wireOf(mesh, 'n1', client)?.context?.ipContext?.dstIpAddrs[0]?.split('/') ?? [];
        await until(`${client} pings ${address}`, async () => {
          const { received } = await mesh.lab.ping(client, address, { count: 2, timeoutMs: 500 });
          return received > 0;
        });
      }
      return undefined;
    },
  },
  {
    name: 'token chain',
    check: async (mesh) => {
      if (mesh.insecure) return 'insecure';
      const { path } = await up(mesh, 'bob');
      const claims = (path?.pathSegments ?? []).map(({ token }) => claimsOf(token));
      for (const [i, { sub }] of claims.entries()) {
        if (!sub?.startsWith('spiffe://nsm.local/interop/')) throw new Error(`sub ${String(sub)}`);
        const aud = claims[i - 1]?.aud;
        if (i > 0 && aud?.[0] !== sub) throw new Error(`token ${i - 1} is for ${String(aud)}`);
      }
      return undefined;
    },
  },
  {
    name: 'refused',
    check: async ({ log }) => {
      await until('alice is told that there is no service "missing"', () =>
        log('alice').some(
          ({ level, msg }) =>
            level === 'warn' && msg?.includes('network service missing is not found'),
        ),
      );
      return undefined;
    },
  },
  {
    name: 'refresh',
    check: async (mesh) => {
      const clients = ['alice', 'bob'];
      const first = clients.map((client) => wireOf(mesh, 'n1', client));
      const links = mesh.lab.addresses('alice');
      await Promise.all(
        clients.map((client, i) =>
          until(`${client} refreshes`, () => {
            const now = wireOf(mesh, 'n1', client);
            return expiryOf(now) > expiryOf(first[i]) && now?.id === first[i]?.id;
          }),
        ),
      );
      const now = mesh.lab.addresses('alice');
      if (JSON.stringify(now) !== JSON.stringify(links))
        throw new Error('a refresh has changed the interface');
      return undefined;
    },
  },
  {
    name: 'monitor',
    check: async (mesh) => {
      for (const node of ['n1', 'n2']) {
        const [first] = mesh.events[node] ?? [];
        if (first?.type !== 0) throw new Error(`${node} told no initial state`);
      }
      const near = await up(mesh, 'bob');
      const far = wireOf(mesh, 'n2', 'bob');
      if (near.path?.index !== 1 || far?.path?.index !== 3)
        throw new Error(`indexes ${near.path?.index} and ${far?.path?.index}`);
      return undefined;
    },
  },
  {
    name: 'close',
    check: async (mesh) => {
      await up(mesh, 'alice');
      await mesh.lab.kill('alice', 'SIGTERM');
      await gone(mesh, 'alice', ['n1'], 5_000);
      return undefined;
    },
  },
  {
    name: 'expiry',
    check: async (mesh) => {
      await up(mesh, 'bob');
      await mesh.lab.kill('bob', 'SIGKILL');
      await gone(mesh, 'bob', ['n1', 'n2'], CLIENT_TOKEN_MS);
      return undefined;
    },
  },
  {
    name: 'endpoint death',
    check: async (mesh) => {
      const before = endpointOf(await up(mesh, 'carol'));
      await mesh.lab.kill(before, 'SIGKILL');
      await until(
        `carol leaves ${before}`,
        () => {
          const now = wireOf(mesh, 'n1', 'carol');
          return now?.state === State.UP && !['', before].includes(endpointOf(now));
        },
        CLIENT_TOKEN_MS + SLACK_MS,
      );
      return undefined;
    },
  },
  {
    name: 'registry watch',
    check: async (mesh) => {
      for (const name of ENDPOINTS)
        await until(`the watches tell of ${name}`, () => told(mesh, name, false));
      const last = mesh.lab
        .processes()
        .find(({ name, alive }) => alive && ENDPOINTS.includes(name));
      if (last === undefined) throw new Error('no endpoint is left to be unregistered');
      await mesh.lab.kill(last.name, 'SIGTERM');
      await until(`the watches tell that ${last.name} is gone`, () => told(mesh, last.name, true));
      return undefined;
    },
  },
  {
    name: 'registration expiry',
    check: async (mesh) => {
      for (const name of ENDPOINTS)
        await until(
          `the watches tell that ${name} is gone`,
          () => told(mesh, name, true),
          REGISTRATION_MS + SLACK_MS,
        );
      return undefined;
    },
  },
];

/** Whether each watch has told of an endpoint that it is there, or that it is gone. */
const told = ({ watches }: Mesh, name: string, gone: boolean): boolean =>
  Object.values(watches).every((events) =>
    events.some(
      ({ deleted, networkServiceEndpoint }) =>
        deleted === gone && networkServiceEndpoint?.name === name,
    ),
  );

async function reaches(mesh: Mesh, client: string, path: readonly string[]): Promise<undefined> {
  await mesh.lab.waitConnected(client, 1);
  await until(`the wire of ${client} is known`, () => wireOf(mesh, 'n1', client) !== undefined);
  const names = namesOf(wireOf(mesh, 'n1', client));
  if (names.join() !== path.join()) throw new Error(`the path is ${names.join(' → ')}`);
  return undefined;
}

/** The wire of a client, once it is up: upstream's programs refuse a refresh now and then, and it is down until the next one. */
async function up(mesh: Mesh, client: string): Promise<Connection> {
  await until(`the wire of ${client} is up`, () => wireOf(mesh, 'n1', client)?.state === State.UP);
  const connection = wireOf(mesh, 'n1', client);
  if (connection === undefined) throw new Error(`the wire of ${client} has gone again`);
  return connection;
}

async function gone(
  mesh: Mesh,
  client: string,
  nodes: readonly string[],
  afterMs: number,
): Promise<void> {
  await until(
    `the managers forget ${client}`,
    () => nodes.every((node) => wireOf(mesh, node, client) === undefined),
    afterMs + SLACK_MS,
  );
  await until(
    `the interface of ${client} goes`,
    () => mesh.lab.addresses(client).length === 0,
    SLACK_MS,
  );
}

function claimsOf(token: string): { readonly sub?: string; readonly aud?: readonly string[] } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object;
}
