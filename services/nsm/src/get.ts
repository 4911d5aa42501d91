import {
  connectionsAt,
  findEndpoints,
  findServices,
  type Lab,
  type LabWire,
  wiresFrom,
} from '@nsm/lab';
import type { NetworkService, NetworkServiceEndpoint } from '@nsm/proto';
import { NsmError } from '@nsm/rpc';
import { type Call, type Command, UsageError } from './command.ts';
import {
  endpointColumns,
  endpointJson,
  serviceColumns,
  serviceJson,
  wireColumns,
  wireJson,
} from './get-columns.ts';
import { dialerFrom } from './dialer.ts';
import { type Column, table } from './table.ts';
import { onlyLabOrNone, whichLab } from './which-lab.ts';

/** Where the manager of this machine listens, when there is one (contract 7.2). */
const LOCAL_MANAGER = 'unix:///var/lib/networkservicemesh/nsm.io.sock';

const kinds = ['services', 'endpoints', 'connections'] as const;
const outputs = ['table', 'wide', 'json'] as const;
type Output = (typeof outputs)[number];

/** `nsm get services|endpoints|connections [NAME]` */
export const get: Command = {
  name: 'get',
  synopsis: `${kinds.join('|')} [NAME] [-o ${outputs.join('|')}] [--lab NAME | --registry URL | --nsmgr URL]`,
  summary: 'Shows what a mesh knows: services, endpoints, or connections (the wires).',
  details: `
NAME leaves one of them: a service, an endpoint, or the connections of a client or with this id.

  -o, --output     table (default), wide (more columns) or json
  --lab NAME       ask the registry and all managers of a lab; the default where exactly one is up
  --registry URL   ask a registry: unix:///path or tcp://host:port
  --nsmgr URL      ask a manager; without any of these and without a lab, the one of this machine

A registry or manager is asked with an identity, as every process of a mesh has one: SPIFFE_ENDPOINT_SOCKET or NSM_TLS_FILES say
where it comes from; NSM_INSECURE=true asks a mesh without. Connections are those the identity is part of; all of them for NSM_ADMINS.

-o json prints a list. Every field is always there:
  service     {"name", "payload", "matches": [{"sourceSelector", "routes": [{"destinationSelector", "weight"}],
              "fallthrough", "metadata": {"labels"} or null}]}
  endpoint    {"name", "services": [...], "labels": {service: {key: value}}, "url", "expires": ISO 8601 or null,
              "registered": ISO 8601 or null}
  connection  {"client", "connection", "service", "endpoint", "node", "endpointNode", "mechanism", "payload",
              "state": "up", "down" or "healing", "interface", "clientAddresses": [...], "endpointAddresses": [...],
              "mtu", "path": [names of hops], "setupMs": number or null,
              "traffic": {"rxBytes", "txBytes", "rxPackets", "txPackets", "errors", "drops"} or null: the counters of the
              client's interface at the last Request, that is, refresh}`,
  options: {
    output: { type: 'string', short: 'o' },
    lab: { type: 'string' },
    registry: { type: 'string' },
    nsmgr: { type: 'string' },
  },
  arity: [1, 2],
  run: async (call) => {
    const [kind = '', name] = call.positionals;
    const output = outputs.find((each) => each === (call.text('output') ?? 'table'));
    if (output === undefined)
      throw new UsageError(
        `-o ${call.text('output') ?? ''}: allowed are ${outputs.join(', ')}`,
        get,
      );
    const source = sourceOf(call);
    try {
      process.stdout.write(await show(kind, name, output, source));
      return 0;
    } catch (error) {
      if (source.guessed && error instanceof NsmError && error.code === 'unavailable')
        throw new NsmError(
          'unavailable',
          `no lab is up, and no manager listens on ${LOCAL_MANAGER}`,
          {
            cause: error,
            hint: 'start a lab with "nsm lab up FILE", or say whom to ask: --registry URL or --nsmgr URL',
          },
        );
      throw error;
    } finally {
      source.close();
    }
  },
};

/** Who is asked. */
interface Source {
  /** Nobody said whom to ask. */
  readonly guessed?: boolean;
  services(): Promise<NetworkService[]>;
  endpoints(): Promise<NetworkServiceEndpoint[]>;
  wires(): Promise<LabWire[]>;
  close(): void;
}

async function show(
  kind: string,
  name: string | undefined,
  output: Output,
  source: Source,
): Promise<string> {
  const named = (entry: { readonly name: string }): boolean =>
    name === undefined || entry.name === name;
  switch (kinds.find((each) => each === kind)) {
    case 'services':
      return print((await source.services()).filter(named), output, serviceColumns, serviceJson);
    case 'endpoints':
      return print((await source.endpoints()).filter(named), output, endpointColumns, endpointJson);
    case 'connections': {
      const wires = (await source.wires()).filter(
        ({ client, connection }) => name === undefined || name === client || name === connection,
      );
      return print(wires, output, wireColumns, wireJson);
    }
    default:
      throw new UsageError(`nsm get knows no "${kind}"; it knows ${kinds.join(', ')}`, get);
  }
}

function print<T>(
  rows: readonly T[],
  output: Output,
  columns: { readonly table: readonly Column<T>[]; readonly wide: readonly Column<T>[] },
  json: (row: T) => object,
): string {
  if (output === 'json') return `${JSON.stringify(rows.map(json), null, 2)}\n`;
  if (rows.length === 0) return 'none\n';
  return table(output === 'wide' ? [...columns.table, ...columns.wide] : columns.table, rows);
}

function sourceOf(call: Call): Source {
  const [lab, registry, manager] = [call.text('lab'), call.text('registry'), call.text('nsmgr')];
  const given = [lab, registry, manager].filter((each) => each !== undefined);
  if (given.length > 1)
    throw new UsageError('only one of --lab, --registry and --nsmgr can be asked', get);
  if (registry !== undefined) return fromUrls(registry, undefined);
  if (manager !== undefined) return fromUrls(manager, manager);
  const found = lab === undefined ? onlyLabOrNone() : whichLab(lab);
  if (found !== undefined) return fromLab(found);
  return { ...fromUrls(LOCAL_MANAGER, LOCAL_MANAGER), guessed: true };
}

function fromLab(lab: Lab): Source {
  const { dialer, plan } = lab;
  return {
    services: () => findServices(dialer, plan.registryUrl),
    endpoints: () => findEndpoints(dialer, plan.registryUrl),
    wires: () => lab.wires(),
    close: () => lab.detach(),
  };
}

function fromUrls(registry: string, manager: string | undefined): Source {
  const dialer = dialerFrom(process.env);
  return {
    services: () => findServices(dialer, registry),
    endpoints: () => findEndpoints(dialer, registry),
    wires: async () => {
      if (manager === undefined)
        throw new NsmError('invalid-argument', 'a registry knows no connections', {
          hint: 'ask a manager: --nsmgr URL',
        });
      return wiresFrom({ [manager]: await connectionsAt(dialer, manager) });
    },
    close: () => dialer.close(),
  };
}
