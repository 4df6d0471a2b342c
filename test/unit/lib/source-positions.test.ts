import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterEach, expect, it } from 'vitest';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The stack that a bundle prints, and the folder that it is in. */
async function stackOf(
  thrown: string,
  { sourcemap }: { readonly sourcemap: boolean },
): Promise<{ readonly lines: readonly string[]; readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'source-positions-'));
  folders.push(folder);
  const source = join(folder, 'original.ts');
  const shower = join(import.meta.dirname, '../../../src/lib/source-positions.ts');
  writeFileSync(
    source,
    `import { showSourcePositions } from ${JSON.stringify(shower)};
showSourcePositions();

function fail(): Error {
  return ${thrown};
}
console.log(fail().stack);
`,
  );
  const outfile = join(folder, 'bundle.mjs');
  await build({
    entryPoints: [source],
    outfile,
    sourcemap,
    bundle: true,
    platform: 'node',
    format: 'esm',
    minifyWhitespace: true,
  });
  const lines = execFileSync(process.execPath, [outfile], { encoding: 'utf8' }).split('\n');
  return { lines, folder: pathToFileURL(folder).href };
}

it('names the file and the place that a line of the bundle was built from', async () => {
  const { lines, folder } = await stackOf("new TypeError('broken')", { sourcemap: true });
  expect(lines.slice(0, 3)).toEqual([
    'TypeError: broken',
    `    at fail (${folder}/original.ts:5:10)`,
    `    at ${folder}/original.ts:7:13`,
  ]);
});

it('leaves a trace as it is where there is no map', async () => {
  const { lines, folder } = await stackOf("new TypeError('broken')", { sourcemap: false });
  expect(lines[1]).toMatch(`    at fail (${folder}/bundle.mjs:`);
});

it('bears an error whose text cannot be made', async () => {
  const thrown = "Object.defineProperty(new Error(), 'message', { get() { throw new Error('no'); } })";
  const { lines } = await stackOf(thrown, { sourcemap: true });
  expect(lines.slice(0, 2)).toEqual(['<error>', expect.stringMatching(/^ {4}at .*fail /)]);
});
