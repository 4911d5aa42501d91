import config from './jest.config.js';

/** Started by scripts/test-chart.mjs. */
const scenarios = config.projects.find(({ displayName }) => displayName === 'scenarios');

export default {
  ...config,
  projects: [
    {
      ...scenarios,
      displayName: 'chart',
      testPathIgnorePatterns: ['/node_modules/'],
      testMatch: ['<rootDir>/tests/chart/*.test.ts'],
    },
  ],
};
