import { defineConfig } from 'vitest/config';

/** Three projects: `unit` needs nothing, `gateway` starts the gateway itself, `proxies` and `browser` start real servers. */
export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: process.env.CI ? ['default', './test/count-reporter.ts'] : ['default'],
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/*.test.ts', 'test/{unit,contract,gateway}/**/*.test.ts'] } },
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
    ],
  },
});
