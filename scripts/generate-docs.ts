/** Writes the configuration reference and the JSON Schema from the schema. With `--check`: fails when they are out of date. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configurationReference } from '../src/config/reference.ts';
import { configurationJsonSchema } from '../src/config/json-schema.ts';

const folder = fileURLToPath(new URL('../docs/reference/', import.meta.url));
const pages: Readonly<Record<string, string>> = {
  'configuration.md': configurationReference(),
  'configuration.schema.json': `${JSON.stringify(configurationJsonSchema, null, 2)}\n`,
};

function current(name: string): string | null {
  try {
    return readFileSync(folder + name, 'utf8');
  } catch {
    return null;
  }
}

const stale = Object.keys(pages).filter((name) => current(name) !== pages[name]);
if (process.argv.includes('--check')) {
  for (const name of stale)
    process.stderr.write(`docs/reference/${name} is out of date: run node scripts/generate-docs.ts\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  mkdirSync(folder, { recursive: true });
  for (const name of stale) {
    writeFileSync(folder + name, pages[name] ?? '');
    process.stdout.write(`wrote docs/reference/${name}\n`);
  }
}
