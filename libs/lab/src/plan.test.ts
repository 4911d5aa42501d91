import { describe, expect, test } from '@jest/globals';
import { parseTopology } from './parse-topology.ts';
import { planLab } from './plan.ts';

const text = `
name: demo
registry: { store: sqlite }
nodes: { a: {}, b: { env: { NSM_DIAL_TIMEOUT: 1s } } }
services:
  web: { matches: [{ routes: [{ destination_selector: { color: red } }] }] }
  db: {}
  tv: { payload: ETHERNET }
endpoints:
  shop:
    node: a
    services: [web, db]
    prefixes: [10.1.0.0/16, [10.2.0.0/16, "fd00::/64"]]
    labels: { color: red, size: XL }
  radio: { node: b, services: [tv] }
clients:
  alice: { node: b, services: [kernel://web/nsm-1?color=red, kernel://db] }
`;
const options = { folder: '/run/nsm/lab/demo', netnsFolder: '/run/netns' };
const plan = planLab(parseTopology(text), options);
const env = (name: string) => plan.processes.find((process) => process.name === name)?.env;

describe('the plan of a lab', () => {
  test('has a namespace for each node and pod, the registry and the underlay', () => {
    expect(plan.namespaces.map(({ path }) => path)).toEqual(
      ['underlay', 'registry', 'a', 'b', 'shop', 'radio', 'alice'].map(
        (name) => `/run/netns/nsm-demo-${name}`,
      ),
    );
  });

  test('gives the registry and the nodes addresses of the underlay', () => {
    expect(plan.underlay.ports).toEqual([
      { namespace: 'registry', name: 'port-0', address: '10.90.0.1/24' },
      { namespace: 'a', name: 'port-1', address: '10.90.0.2/24' },
      { namespace: 'b', name: 'port-2', address: '10.90.0.3/24' },
    ]);
  });

  test('starts what others depend on first', () => {
    expect(plan.processes.map(({ name, namespace }) => `${name}@${namespace}`)).toEqual([
      'identity@registry',
      'registry@registry',
      'nsmgr-a@a',
      'nsmgr-b@b',
      'forwarder-a@a',
      'forwarder-b@b',
      'shop@shop',
      'radio@radio',
      'alice@alice',
    ]);
  });

  test('tells the registry where to listen and to store', () => {
    expect(env('registry')).toEqual({
      NSM_ADMINS: 'spiffe://nsm.local/demo',
      NSM_NAME: 'registry',
      NSM_LISTEN_ON: 'tcp://10.90.0.1:5002,unix:///run/nsm/lab/demo/registry.sock',
      NSM_STORE: 'sqlite:/run/nsm/lab/demo/registry.db',
      NSM_LOG_LEVEL: 'info',
      NSM_MAX_TOKEN_LIFETIME: '10m',
      SPIFFE_ENDPOINT_SOCKET: 'unix:///run/nsm/lab/demo/identity/registry.sock',
    });
  });

  test('gives each process an identity of its own, and one to whoever looks after it', () => {
    expect(env('identity')?.['NSM_ENTRIES']?.split(',')).toEqual(
      ['.lab=', ...plan.processes.slice(1).map(({ name }) => `${name}=/${name}`)]
        .map((entry) => entry.split('='))
        .map(
          ([socket = '', id = '']) =>
            `unix:///run/nsm/lab/demo/identity/${socket}.sock=spiffe://nsm.local/demo${id}`,
        ),
    );
    expect(plan.identityUrl).toBe('unix:///run/nsm/lab/demo/identity/.lab.sock');
  });

  test('of an insecure topology has no identities', () => {
    const open = planLab(parseTopology(`insecure: true${text}`), options);
    expect(open.processes.map(({ program }) => program)).not.toContain('identity');
    expect(open.identityUrl).toBeUndefined();
    expect(open.processes.every(({ env: { NSM_INSECURE } }) => NSM_INSECURE === 'true')).toBe(true);
  });

  test('tells a manager its public URL and its registry', () => {
    expect(env('nsmgr-b')).toMatchObject({
      NSM_NAME: 'b',
      NSM_LISTEN_ON: 'unix:///run/nsm/lab/demo/b/nsm.io.sock,tcp://10.90.0.3:5001',
      NSM_REGISTRY_URL: 'tcp://10.90.0.1:5002',
      NODE_NAME: 'b',
      NSM_DIAL_TIMEOUT: '1s',
    });
  });

  test('tells a forwarder its manager and its end of tunnels', () => {
    expect(env('forwarder-a')).toMatchObject({
      NSM_NAME: 'forwarder-a',
      NSM_CONNECT_TO: 'unix:///run/nsm/lab/demo/a/nsm.io.sock',
      NSM_LISTEN_ON: 'unix:///run/nsm/lab/demo/a/forwarder.sock',
      NSM_TUNNEL_IP: '10.90.0.2',
    });
  });

  test('tells an endpoint what to offer', () => {
    expect(env('shop')).toMatchObject({
      NSM_SERVICE_NAMES: 'web,db',
      NSM_PAYLOAD: 'IP',
      NSM_LABELS: 'color:red,size:XL',
      NSM_CIDR_PREFIX: '10.1.0.0/16,[10.2.0.0/16,fd00::/64]',
      NSM_REGISTER_SERVICE: 'false',
    });
    expect(env('radio')).toMatchObject({ NSM_PAYLOAD: 'ETHERNET' });
    expect(env('radio')).not.toHaveProperty('NSM_REGISTER_SERVICE');
  });

  test('registers the services whose endpoints may not, because of their matches', () => {
    expect(plan.registrations.map(({ name, matches }) => [name, matches.length])).toEqual([
      ['web', 1],
      ['db', 0],
    ]);
  });

  test('tells a client what to ask for', () => {
    expect(env('alice')).toMatchObject({
      NSM_CONNECT_TO: 'unix:///run/nsm/lab/demo/b/nsm.io.sock',
      NSM_NETWORK_SERVICES: 'kernel://web/nsm-1?color=red,kernel://db',
      NSM_REQUEST_TIMEOUT: '15s',
    });
    expect(plan.wires).toEqual({ alice: 2 });
  });

  test('lets the caller have the last word on settings', () => {
    const own = planLab(parseTopology(text), {
      ...options,
      maxTokenLifetime: '5s',
      env: ({ program }) => (program === 'nsmgr' ? { NSM_DIAL_TIMEOUT: '9s' } : {}),
    });
    expect(own.processes[2]?.env).toMatchObject({
      NSM_MAX_TOKEN_LIFETIME: '5s',
      NSM_DIAL_TIMEOUT: '9s',
    });
  });

  test('writes IPv6 addresses in URLs in brackets', () => {
    const six = planLab(
      parseTopology('name: six\nnodes: {a: {}}\nunderlay: {cidr: "fd00::/64"}'),
      options,
    );
    expect(six.processes[2]?.env['NSM_REGISTRY_URL']).toBe('tcp://[fd00::1]:5002');
    expect(six.underlay.ports[1]?.address).toBe('fd00::2/64');
  });

  test('refuses a folder that leaves no room for socket paths', () => {
    const folder = `/${'x'.repeat(100)}`;
    expect(() => planLab(parseTopology(text), { ...options, folder })).toThrow(
      'longer than 107 bytes',
    );
  });
});
