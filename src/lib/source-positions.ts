import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';

/**
 * Makes stack traces of the bundle name the files that it was built from. A map is read when the first trace needs it;
 * `--enable-source-maps` of Node.js reads all of them at each start. Where there is no map, or none that can be read, a
 * trace stays as it is.
 */
export function showSourcePositions(): void {
  Error.prepareStackTrace = (error, sites) =>
    [headOf(error), ...sites.map((site) => `    at ${describe(site)}`)].join('\n');
}

const maps = new Map<string, SourceMap | null>();

function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return '<error>';
  }
}

function describe(site: NodeJS.CallSite): string {
  const text = String(site);
  const [script, line, column] = [
    site.getScriptNameOrSourceURL(),
    site.getLineNumber(),
    site.getColumnNumber(),
  ];
  if (script === null || line === null || column === null || !script.startsWith('file:')) return text;
  // Positions count from 0 in a map and from 1 in a trace.
  const entry = mapOf(script)?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry) || entry.originalSource === '') return text;
  const source = new URL(entry.originalSource, script).href;
  return text.replace(
    `${script}:${line}:${column}`,
    () => `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`,
  );
}

function mapOf(script: string): SourceMap | null {
  const known = maps.get(script);
  if (known !== undefined) return known;
  let map: SourceMap | null = null;
  try {
    map = new SourceMap(JSON.parse(readFileSync(new URL(`${script}.map`), 'utf8')) as SourceMapPayload);
  } catch {
    // A file without a map.
  }
  maps.set(script, map);
  return map;
}
