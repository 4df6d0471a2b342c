// Builds what is published: dist/main.js with its chunks, one entry for each worker thread (src/**/*-thread.ts, found by
// src/lib/thread.ts), source maps, and the portal as web/ built it. The dependencies of package.json stay outside.
// The folder is exchanged at the end, so that there is never half a build.
import { cpSync, existsSync, globSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const next = join(root, '.cache', 'dist');
const startedAt = new Date();

const portal = join(root, 'web', 'dist');
if (!existsSync(join(portal, 'server.js'))) {
  process.stderr.write(
    'The portal is not built (web/dist/server.js): run `npm run build --workspace web` first.\n',
  );
  process.exit(1);
}

const entryPoints = { main: 'src/main.ts' };
for (const file of globSync('src/**/*-thread.ts', { cwd: root })) {
  const name = basename(file, '.ts');
  if (name in entryPoints)
    throw new Error(`Two worker threads are called ${name}: ${entryPoints[name]}, ${file}`);
  entryPoints[name] = file;
}

rmSync(next, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints,
  outdir: next,
  bundle: true,
  splitting: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: 'linked',
  sourcesContent: true,
  legalComments: 'none',
  logLevel: 'warning',
});
cpSync(portal, join(next, 'web'), { recursive: true });
// What is changed while the build runs is newer than the build: bin/sallyport compares these times.
utimesSync(join(next, 'main.js'), startedAt, startedAt);
rmSync(dist, { recursive: true, force: true });
renameSync(next, dist);
