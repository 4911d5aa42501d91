/** Three tiers. `npm test` runs all of them; kernel and scenarios need network namespaces and are started in one of their own. */
const common = {
  // The default below /tmp belongs to uid 0, which in a user namespace is somebody else.
  cacheDirectory: '<rootDir>/.cache/jest',
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2024', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
};

export default {
  // A scenario starts ten processes on whatever machine it runs.
  testTimeout: 180_000,
  reporters: ['default', '<rootDir>/scripts/count-reporter.mjs'],
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{proto,libs,services}/**/src/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '\\.(kernel|wireguard)\\.test\\.ts$'],
    },
    {
      ...common,
      displayName: 'kernel',
      testMatch: ['<rootDir>/libs/**/src/**/*.kernel.test.ts'],
    },
    {
      ...common,
      displayName: 'scenarios',
      testMatch: ['<rootDir>/tests/**/*.test.ts'],
      testPathIgnorePatterns: [
        '/node_modules/',
        // Commands of their own: they need other people's programs.
        '<rootDir>/tests/(compose|prometheus|chart)/',
        '\\.wireguard\\.test\\.ts$',
      ],
    },
    {
      // Needs the program wireguard-go, which scripts/wireguard-go.mjs finds or gets.
      ...common,
      displayName: 'wireguard',
      testMatch: ['<rootDir>/{libs,tests}/**/*.wireguard.test.ts'],
    },
  ],
};
