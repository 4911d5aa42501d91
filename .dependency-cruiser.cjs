const libs = (...names) => `^libs/(${names.join('|')})/`;
const only = (name, from, allowed, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from, pathNot: '\\.test\\.ts$' },
  to: { path: '^(libs|services|proto|tests)/', pathNot: [from, ...allowed] },
});

/** The import directions of docs/architecture.md. A rule's comment is the reason it is there. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      severity: 'error',
      comment: 'A cycle has no bottom to start reading from.',
      from: {},
      to: { circular: true, viaOnly: { pathNot: '/gen/' } },
    },
    {
      name: 'no-service-to-service',
      severity: 'error',
      comment: 'Services meet on the wire only.',
      from: { path: '^services/([^/]+)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'no-lib-to-service',
      severity: 'error',
      comment: 'A library does not know who uses it.',
      from: { path: '^(libs|proto)/' },
      to: { path: '^(services|tests)/' },
    },
    {
      name: 'no-foreign-src',
      severity: 'error',
      comment: 'A package is what its index.ts exports.',
      from: { path: '^(libs|services|proto|tests)/([^/]+)/' },
      to: {
        path: '^(libs|services)/[^/]+/src/(?!index\\.ts$|fake\\.ts$|testing\\.ts$|authority\\.ts$)',
        pathNot: '^$1/$2/',
      },
    },
    {
      name: 'no-fake-in-production',
      severity: 'error',
      comment: 'Fakes are for tests.',
      from: { path: '^(libs|services)/', pathNot: '(\\.test|/fake|/testing)\\.ts$' },
      to: { path: '/(fake|testing)\\.ts$' },
    },
    {
      name: 'one-grpc-importer',
      severity: 'error',
      comment: 'libs/rpc is the only place that knows the gRPC library.',
      from: { pathNot: '^libs/rpc/' },
      to: { path: 'node_modules/(@grpc|nice-grpc)' },
    },
    {
      name: 'one-ffi-importer',
      severity: 'error',
      comment:
        'libs/netlink/src/sys.ts can be replaced by another FFI without touching anything else.',
      from: { pathNot: '^libs/netlink/src/sys\\.ts$' },
      to: { path: 'node_modules/koffi' },
    },
    {
      name: 'telemetry-on-demand',
      severity: 'error',
      comment:
        'Programs that tell nobody do not load the libraries: libs/service/src/telemetry imports them on demand.',
      from: { path: '^(libs|services)/', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^libs/service/src/telemetry/(otlp|prometheus)\\.ts$',
        dependencyTypesNot: ['dynamic-import', 'type-only'],
      },
    },
    {
      name: 'telemetry-libraries-importers',
      severity: 'error',
      comment: 'The same, from the other side.',
      from: {
        path: '^(libs|services)/',
        pathNot: '^libs/service/src/telemetry/(otlp|sampler|prometheus|.*\\.test)\\.ts$',
      },
      to: { path: 'node_modules/(@opentelemetry|prom-client)' },
    },
    only('chain-imports-nothing', libs('chain'), [], 'The engine knows nothing of networks.'),
    only('ip-imports-nothing', libs('ip'), [], 'Pure arithmetic.'),
    only(
      'netlink-imports-nothing',
      libs('netlink'),
      [libs('ip')],
      'The kernel API knows nothing of NSM.',
    ),
    only(
      'datapath-imports',
      libs('datapath'),
      [libs('netlink', 'ip'), '^proto/'],
      'Plans and their reconciliation; no services.',
    ),
    only(
      'rpc-imports',
      libs('rpc'),
      ['^proto/', libs('chain', 'netlink')],
      "Transport only; descriptors over unix sockets are the kernel's.",
    ),
    only(
      'identity-imports',
      libs('identity'),
      ['^proto/', libs('rpc', 'chain')],
      'Who one is, whatever one serves.',
    ),
    only(
      'policy-imports',
      libs('policy'),
      ['^proto/', libs('rpc', 'chain', 'identity')],
      'Rules judge what they are given.',
    ),
    only(
      'service-imports',
      libs('service'),
      ['^proto/', libs('rpc', 'chain', 'identity', 'policy')],
      'What every main.ts needs.',
    ),
    only(
      'registry-imports',
      libs('registry'),
      ['^proto/', libs('rpc', 'chain', 'identity', 'policy')],
      'No data path in the registry.',
    ),
    only(
      'connection-imports',
      libs('connection'),
      ['^proto/', libs('rpc', 'chain', 'ip', 'datapath', 'registry', 'identity', 'policy')],
      'Connections use all of the libraries below them.',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/gen/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
};
