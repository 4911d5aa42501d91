import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Time, ids and randomness are passed in, so that tests own them; only main programs and libs/service may read them. */
const ambient = [
  { object: 'Date', property: 'now', message: 'Take a Clock.' },
  { object: 'Math', property: 'random', message: 'Take the randomness as an argument.' },
  { object: 'crypto', property: 'randomUUID', message: 'Take newId as an argument.' },
];

export default defineConfig(
  globalIgnores(['**/dist/', '**/gen/', '.cache/', '**/*.mjs', '**/*.js', '**/*.cjs']),
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-depth': ['error', 4],
      'max-params': ['error', 5],
      'no-restricted-properties': ['error', ...ambient],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'node:crypto',
              importNames: ['randomUUID'],
              message: 'Take newId as an argument.',
            },
          ],
        },
      ],
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // Elements, stores and transports answer promises by contract, whether or not this one has to wait.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: [
      '**/*.test.ts',
      'tests/**',
      'libs/service/**',
      'services/*/src/main.ts',
      'services/nsm/**',
      'libs/lab/**',
    ],
    rules: { 'no-restricted-properties': 'off', 'no-restricted-imports': 'off' },
  },
  {
    files: ['**/*.test.ts', 'tests/**'],
    rules: { 'max-params': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  { files: ['services/nsm/**', 'tests/bench/**'], rules: { 'no-console': 'off' } },
);
