import config from './jest.config.js';

/** Scenarios in containers, and the shipped compose file; started by scripts/test-compose.mjs. */
const scenarios = config.projects.find(({ displayName }) => displayName === 'scenarios');

export default {
  ...config,
  testTimeout: 180_000,
  projects: [
    {
      ...scenarios,
      displayName: 'containers',
      testPathIgnorePatterns: ['/node_modules/'],
      testMatch: [
        '<rootDir>/tests/compose/*.test.ts',
        '<rootDir>/tests/scenarios/{connect,close,refresh,refused}.test.ts',
      ],
    },
  ],
};
