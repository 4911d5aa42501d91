import config from './jest.config.js';

/** Started by scripts/test-prometheus.mjs. */
const scenarios = config.projects.find(({ displayName }) => displayName === 'scenarios');

export default {
  ...config,
  projects: [
    {
      ...scenarios,
      displayName: 'prometheus',
      testPathIgnorePatterns: ['/node_modules/'],
      testMatch: ['<rootDir>/tests/prometheus/*.test.ts'],
    },
  ],
};
