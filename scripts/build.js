// Builds what is published: dist/main.js with its chunks, one entry for each worker thread (src/**/*-thread.ts, found by
// src/lib/thread.ts), source maps, and the portal as web/ built it. The dependencies of package.json are bundled, and their
// licences stand beside them; what is native, loaded on demand or never reached stays outside.
// The folder is exchanged at the end, so that there is never half a build.
import { cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
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

/** Only our own files are in the maps: src/lib/source-positions.ts reads one while it answers an error. */
const noMapOfDependencies = {
  name: 'no-map-of-dependencies',
  setup({ onLoad }) {
    const empty = Buffer.from('{"version":3,"sources":[""],"mappings":"A"}').toString('base64');
    onLoad({ filter: /[\\/]node_modules[\\/].*\.[cm]?js$/ }, ({ path }) => ({
      contents: `${readFileSync(path, 'utf8')}\n//# sourceMappingURL=data:application/json;base64,${empty}`,
      loader: 'js',
    }));
  },
};

/**
 * `import` of a module of Node.js reads all its exports, and that of `WebSocket` of `node:http` loads an HTTP client and web
 * streams. `require` reads nothing.
 */
const requiredHttp = {
  name: 'required-http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?https?$/ }, ({ path, kind }) =>
      kind === 'require-call' ? { path, external: true } : { path, namespace: 'required' },
    );
    onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }));
  },
};

/** The web framework loads HTTP/2 whether it is used or not, and here it is not: a tenth of what the framework costs a start. */
const noHttp2 = {
  name: 'no-http2',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?http2$/ }, ({ importer }) =>
      /[\\/]node_modules[\\/]fastify[\\/]/.test(importer)
        ? { path: 'http2', namespace: 'unused' }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {}' }));
  },
};

/** What is loaded on demand stays outside: of a CommonJS package only Node.js finds the names that it exports. */
const loadedOnDemand = {
  name: 'loaded-on-demand',
  setup({ onResolve }) {
    onResolve({ filter: /^(?:@[^/]+\/)?[^./@][^:]*$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};

rmSync(next, { recursive: true, force: true });
const { metafile, outputFiles } = await build({
  absWorkingDir: root,
  entryPoints,
  // Where it will be: the maps say where the sources are from there.
  outdir: dist,
  write: false,
  bundle: true,
  splitting: true,
  external: [
    // Native.
    '@node-rs/argon2',
    // src/http/app.ts has no schemas for them to compile.
    '@fastify/ajv-compiler',
    '@fastify/fast-json-stringify-compiler',
  ],
  platform: 'node',
  format: 'esm',
  target: 'node24',
  // For what dependencies `require` of Node.js.
  banner: {
    js: `import { createRequire as createRequireOfChunk } from 'node:module'; const require = createRequireOfChunk(import.meta.url);`,
  },
  plugins: [noMapOfDependencies, requiredHttp, noHttp2, loadedOnDemand],
  // Node.js keeps the text of each chunk in memory. Names stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
});
mkdirSync(next, { recursive: true });
for (const { path, contents } of outputFiles) writeFileSync(join(next, relative(dist, path)), contents);
writeFileSync(join(next, 'third-party-licenses.txt'), licensesOf(metafile));
cpSync(portal, join(next, 'web'), { recursive: true });
// What is changed while the build runs is newer than the build: bin/sallyport compares these times.
utimesSync(join(next, 'main.js'), startedAt, startedAt);
rmSync(dist, { recursive: true, force: true });
renameSync(next, dist);

/** The licence of each package that is in the bundle. */
function licensesOf({ outputs }) {
  const folders = new Set();
  for (const { inputs } of Object.values(outputs)) {
    for (const input of Object.keys(inputs)) {
      const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
      if (folder !== undefined) folders.add(join(root, folder));
    }
  }
  const texts = [...folders]
    .toSorted((a, b) => a.localeCompare(b))
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const files = readdirSync(folder).filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file));
      const bodies = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
      return [`${name} ${version} (${license})`, ...bodies].join('\n\n');
    });
  return `The bundle beside this file holds these packages:\n\n${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
