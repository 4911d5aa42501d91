import { beforeEach, expect, test } from '@jest/globals';
import { Connection, NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { monitorServices, type ServiceMonitor } from './service-monitor.ts';

const NOW = 1_700_000_000_000;
const endpoint = (name: string, color = name, expiresIn = 60): NetworkServiceEndpoint =>
  NetworkServiceEndpoint.fromPartial({
    name,
    networkServiceNames: ['svc'],
    networkServiceLabels: { svc: { labels: { color } } },
    expirationTime: { seconds: NOW / 1_000 + expiresIn, nanos: 0 },
  });
const serving = (...colors: string[]): NetworkService =>
  NetworkService.fromPartial({
    name: 'svc',
    matches: [{ routes: colors.map((color) => ({ destinationSelector: { color } })) }],
  });

let service: NetworkService;
let registered: NetworkServiceEndpoint[];
let closed: string[];
let monitor: ServiceMonitor;

/** Two connections: `a` to `blue`, `b` to `green`. */
beforeEach(() => {
  service = serving('green', 'blue');
  registered = ['blue', 'green'].map((name) => endpoint(name));
  closed = [];
  const connection = (id: string, name: string) => ({
    id,
    networkService: 'svc',
    networkServiceEndpointName: name,
    labels: {},
  });
  monitor = monitorServices({
    connections: {
      list: () => [connection('a', 'blue'), connection('b', 'green')],
      close: async (id: string) => void closed.push(id),
    } as never,
    discovery: {
      services: async () => [service],
      endpoints: async ({ name }) =>
        registered.filter((each) => name === undefined || each.name === name),
    },
    now: () => NOW,
    onMoved: () => undefined,
    onFault: (err) => {
      throw err;
    },
  });
});
const settled = async (): Promise<readonly string[]> => {
  await new Promise(setImmediate);
  return closed;
};

test('whose endpoint no longer fits the rules of the service is closed, others are not', async () => {
  service = serving('green');
  monitor.service(service);
  expect(await settled()).toEqual(['a']);
});

test('whose endpoint no longer has the labels is closed, others are not', async () => {
  monitor.endpoint({ entry: endpoint('blue', 'grey'), deleted: false });
  expect(await settled()).toEqual(['a']);
});

test('that is new is closed where its endpoint does not fit the rules as they are now, and stays where it does', async () => {
  const made = (id: string, networkServiceEndpointName: string) =>
    Connection.fromPartial({ id, networkService: 'svc', networkServiceEndpointName });
  service = serving('green');
  monitor.connection(made('c', 'green'));
  monitor.connection(made('d', 'blue'));
  expect(await settled()).toEqual(['d']);
});

test('a refresh of a registration closes nothing', async () => {
  for (const entry of registered) monitor.endpoint({ entry, deleted: false });
  expect(await settled()).toEqual([]);
});

test('whose endpoint was unregistered is closed when another one would serve it', async () => {
  const [blue, green] = registered as [NetworkServiceEndpoint, NetworkServiceEndpoint];
  registered = [green];
  monitor.endpoint({ entry: blue, deleted: true });
  expect(await settled()).toEqual(['a']);
});

test('whose endpoint was unregistered stays where nobody else would serve it', async () => {
  const [blue, green] = registered as [NetworkServiceEndpoint, NetworkServiceEndpoint];
  registered = [{ ...green, networkServiceNames: ['other'], networkServiceLabels: {} }];
  service = serving('blue');
  monitor.endpoint({ entry: blue, deleted: true });
  expect(await settled()).toEqual([]);
});

test('an endpoint whose registration ended may well live: its connections stay', async () => {
  registered = [endpoint('green')];
  monitor.endpoint({ entry: endpoint('blue', 'blue', -1), deleted: true });
  expect(await settled()).toEqual([]);
});
