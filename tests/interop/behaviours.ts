import { State, type Connection } from '@nsm/proto';
import { CLIENT_TOKEN_MS, REGISTRATION_MS, until, wireOf, type Mesh } from './mesh.ts';

/** One column of the table. Throws what is wrong; answers what its cell says: nothing is ok, others say why it does not apply here. */
export interface Behaviour {
  readonly name: string;
  readonly check: (mesh: Mesh) => Promise<string | undefined>;
}

const LOCAL = ['alice', 'n1', 'forwarder-n1', 'nse-near'];
const REMOTE = ['bob', 'n1', 'forwarder-n1', 'n2', 'forwarder-n2', 'nse-far'];
const OTHER_DOMAIN = [
  ...['dave', 'n1', 'forwarder-n1', 'proxy-here'],
  ...['proxy-there', 'n2', 'forwarder-n2', 'nse-far'],
];
const THROUGH = [
  ...['erin', 'n1', 'forwarder-n1', 'wall'],
  ...['wall-client', 'n1', 'forwarder-n1', 'n2', 'forwarder-n2', 'behind'],
];
const ENDPOINTS = ['nse-near', 'nse-far', 'twin-n1', 'twin-n2'];
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
    name: 'other domain',
    check: async (mesh) => reaches(mesh, 'dave', OTHER_DOMAIN),
  },
  {
    name: 'endpoints in a row',
    check: async (mesh) => {
      if (mesh.upstream.includes('nse')) return 'none';
      await reaches(mesh, 'erin', THROUGH);
      await answers(mesh, 'erin');
      if ((await echoesAt(mesh, 'behind')) === 0) throw new Error('somebody else has answered');
      return undefined;
    },
  },
  {
    name: 'packets',
    check: async (mesh) => {
      for (const client of ['alice', 'bob', 'carol', 'dave']) await answers(mesh, client);
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
    name: 'reselect',
    check: async (mesh) => {
      for (const node of ['n2', 'n1', 'n2']) {
        await mesh.choose(node);
        await until(`carol goes to twin-${node}`, () => isServed(mesh, 'carol', `twin-${node}`));
        await answers(mesh, 'carol');
      }
      return undefined;
    },
  },
  {
    name: 'descriptors',
    check: async ({ lab, upstream, log }) => {
      // Registries only store URLs; clients and endpoints have nobody who would send them any.
      if (upstream.join() === 'registry') return 'none';
      const passes = upstream.includes('nsmgr') || upstream.includes('forwarder');
      const counts = lab
        .processes()
        .filter(({ program }) => upstream.some((position) => position === program))
        .map(({ name }) => log(name).findLast(({ msg }) => msg === 'descriptors'));
      const sum = (of: 'received' | 'sent'): number =>
        counts.reduce((all, line) => all + (line?.[of] ?? 0), 0);
      if (sum('sent') === 0) throw new Error("upstream's programs have sent none");
      if (passes && sum('received') === 0) throw new Error("upstream's programs have got none");
      return `ok: ${sum('received')} in, ${sum('sent')} out`;
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
      // Not in the middle of a refresh: upstream's hops keep a connection whose caller has gone while it was asked for.
      const refreshes = (): number =>
        mesh.log('bob').filter(({ msg }) => msg === 'refreshed').length;
      const before = refreshes();
      await until('bob has been refreshed', () => refreshes() > before);
      await mesh.lab.kill('bob', 'SIGKILL');
      await gone(mesh, 'bob', ['n1', 'n2'], CLIENT_TOKEN_MS);
      return undefined;
    },
  },
  {
    name: 'endpoint death',
    check: async (mesh) => {
      await mesh.choose();
      await until('carol has a wire', () => isServed(mesh, 'carol', 'twin-n2'));
      await mesh.lab.kill('twin-n2', 'SIGKILL');
      await until(
        'carol goes to twin-n1',
        () => isServed(mesh, 'carol', 'twin-n1'),
        CLIENT_TOKEN_MS + SLACK_MS,
      );
      await answers(mesh, 'carol');
      return undefined;
    },
  },
  {
    name: 'registry watch',
    check: async (mesh) => {
      for (const name of ENDPOINTS)
        await until(`the watches tell of ${name}`, () => told(mesh, name, false));
      await mesh.lab.kill('nse-near', 'SIGTERM');
      await until('the watches tell that nse-near is gone', () => told(mesh, 'nse-near', true));
      return undefined;
    },
  },
  {
    name: 'registration expiry',
    check: async (mesh) => {
      await until(
        'the watches tell that twin-n2 is gone',
        () => told(mesh, 'twin-n2', true),
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

/** Waits until pings come back through the wire of a client. */
async function answers(mesh: Mesh, client: string): Promise<void> {
  const addresses = (await up(mesh, client)).context?.ipContext?.dstIpAddrs ?? [];
  const address = addresses[0]?.split('/')[0] ?? 'nobody';
  await until(`${client} hears ${address}`, async () => {
    const { received } = await mesh.lab.ping(client, address, { count: 2, timeoutMs: 500 });
    return received > 0;
  });
}

/** How many pings have come to a pod (/proc/net/snmp). */
async function echoesAt({ lab }: Mesh, pod: string): Promise<number> {
  const { stdout } = await lab.exec(pod, ['cat', '/proc/net/snmp']);
  const [names = [], values = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('InEchos')] ?? 0);
}

/** Whether a wire of a client is up, and by which endpoint. */
function isServed(mesh: Mesh, client: string, endpoint: string): boolean {
  const wire = wireOf(mesh, 'n1', client);
  return wire?.state === State.UP && endpointOf(wire) === endpoint;
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
