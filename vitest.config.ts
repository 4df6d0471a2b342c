import { defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT ?? '.cache/test-report.json';

/** `unit` needs nothing but this checkout; `servers` starts real proxies and a real browser; `faults` breaks what
 * gateways depend on. In CI a report is written. */
export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: process.env.CI ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/*.test.ts', 'test/{unit,contract,gateway}/**/*.test.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['test/{proxies,browser}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          // A machine that stands still for a moment looks like a fault: in CI a row may show once more that it holds.
          retry: process.env.CI ? 1 : 0,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          // After all others, so that what is measured is not their work.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
