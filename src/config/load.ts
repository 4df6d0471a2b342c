/**
 * From files, environment and secret files to one frozen configuration, or to all that is wrong with them.
 *
 * Later wins: files in their order, then variables, then secrets (which must not be set elsewhere). Nothing here throws
 * for what people wrote, and nothing touches the network.
 */
import type { z } from 'zod';
import { describe } from '../lib/schema.ts';
import { nearestWord } from '../lib/nearest-word.ts';
import { findContradictions } from './checks.ts';
import { moveDeprecated } from './deprecated.ts';
import { filterFiles } from './filter-files.ts';
import { type Outline, outlineAt, withoutEmptyText } from './outline.ts';
import { formatProblem, type Problem } from './problem.ts';
import { type Configuration, configurationOutline, configurationSchema } from './schema.ts';
import {
  emptyMap,
  findEntry,
  keyText,
  type MapTree,
  mergeTrees,
  parseTree,
  type Path,
  placeOf,
  toValue,
  type Tree,
} from './tree.ts';
import { applyVariables } from './variables.ts';

export { formatProblem, type Problem };

/** Where the configuration comes from. */
export interface ConfigurationSource {
  /** Files and folders, in order. */
  readonly files: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Names of filters, applied to each file in this order. */
  readonly filters: readonly string[];
}

export interface LoadedConfiguration {
  /** Null exactly when there is a problem of severity `error`. */
  readonly config: Configuration | null;
  /** In the order of files and lines; errors and warnings together. */
  readonly problems: readonly Problem[];
  /** Where each written value stands, by its key: `configuration.yml:3:5`, `environment variable …`. Defaults are absent. */
  readonly origins: ReadonlyMap<string, string>;
}

/** Flags win over `SALLYPORT_CONFIG` (`…_FILTERS`), which wins over `X_AUTHELIA_CONFIG` (`…_FILTERS`). Commas separate. */
export function resolveSource(
  options: {
    readonly config?: readonly string[] | undefined;
    readonly filters?: readonly string[] | undefined;
  },
  environment: Readonly<Record<string, string | undefined>>,
): ConfigurationSource {
  const choose = (flags: readonly string[] | undefined, suffix: string): readonly string[] => {
    const given = flags?.length
      ? flags
      : [environment[`SALLYPORT_CONFIG${suffix}`] || environment[`X_AUTHELIA_CONFIG${suffix}`] || ''];
    return given.flatMap((one) => one.split(',').map((part) => part.trim())).filter((part) => part !== '');
  };
  const files = choose(options.config, '');
  return {
    files: files.length > 0 ? files : ['configuration.yml'],
    environment,
    filters: choose(options.filters, '_FILTERS'),
  };
}

export function loadConfiguration(source: ConfigurationSource): LoadedConfiguration {
  const filtered = filterFiles(source);
  const problems: Problem[] = [...filtered.problems];
  let tree = emptyMap({ name: 'nowhere' });
  for (const { file, text } of filtered.texts) {
    const parsed = parseTree(text, file);
    problems.push(...parsed.problems);
    if (parsed.tree !== null) tree = mergeTrees(tree, parsed.tree);
  }
  // What an unreadable file would have said is unknown, so complaints about missing keys would only confuse.
  if (problems.some(isError)) return { config: null, problems, origins: new Map() };
  problems.push(...applyVariables(tree, source.environment, configurationOutline), ...moveDeprecated(tree));
  const judged = judge(tree);
  problems.push(...judged.problems);
  const config = problems.some(isError) ? null : judged.config;
  return { config, problems: problems.toSorted(byPlace), origins: originsOf(tree) };
}

function isError(problem: Problem): boolean {
  return problem.severity === 'error';
}

function byPlace(a: Problem, b: Problem): number {
  return (
    (a.file ?? '').localeCompare(b.file ?? '') ||
    (a.line ?? 0) - (b.line ?? 0) ||
    (a.column ?? 0) - (b.column ?? 0)
  );
}

/** Parses each section by itself, so that a fault in one does not hide those in another. */
function judge(tree: MapTree): { config: Configuration | null; problems: Problem[] } {
  const raw = withoutEmptyText(toValue(tree), configurationOutline) as Readonly<Record<string, unknown>>;
  const problems: Problem[] = [];
  const parsed: Record<string, unknown> = {};
  const shape: Readonly<Record<string, z.ZodType>> = configurationSchema.shape;
  for (const name of Object.keys(raw)) {
    if (!Object.hasOwn(shape, name)) problems.push(unknownKey(tree, [name]));
  }
  for (const [name, schema] of Object.entries(shape)) {
    const result = schema.safeParse(raw[name]);
    if (result.success) parsed[name] = deepFreeze(result.data);
    else problems.push(...result.error.issues.flatMap((issue) => problemsOf(issue, tree, name)));
  }
  for (const finding of findContradictions(parsed, raw)) {
    problems.push(problemAt(tree, finding.path, finding.message, finding.severity));
  }
  return { config: Object.freeze(parsed) as Configuration, problems };
}

function problemsOf(issue: z.core.$ZodIssue, tree: Tree, section: string): Problem[] {
  const path = [section, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(tree, [...path, key]));
  if (issue.code === 'invalid_key') return [problemAt(tree, path, issue.issues[0]?.message ?? issue.message)];
  if (issue.code === 'invalid_type') {
    const found = findEntry(tree, path)?.value;
    const outline = outlineAt(configurationOutline, path);
    const allowed = outline?.kind === 'list' ? 'a list' : 'a map of keys';
    const isAbsent = found === undefined || (found.kind === 'scalar' && found.value === null);
    const message = isAbsent
      ? `is required: ${required(outline)}`
      : `must be ${allowed}, found ${describe(toValue(found))}`;
    return [problemAt(tree, path, message)];
  }
  return [problemAt(tree, path, issue.message)];
}

function required(outline: Outline | undefined): string {
  return outline === undefined || outline.description === ''
    ? 'it has no default'
    : lowerFirst(outline.description);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
}

function unknownKey(tree: Tree, path: Path): Problem {
  const outline = outlineAt(configurationOutline, path.slice(0, -1));
  const keys = [...((outline?.kind === 'list' ? outline.item?.keys : outline?.keys)?.keys() ?? [])];
  const near = nearestWord(String(path.at(-1)), keys);
  const hint = near === null ? `; allowed here: ${keys.join(', ')}` : `; did you mean "${near}"?`;
  const at = findEntry(tree, path);
  return {
    severity: 'error',
    key: keyText(path),
    message: `is not a known key${hint}`,
    ...placeOf(at?.key ?? tree.origin),
  };
}

/** A problem at the deepest part of the path that was written. */
function problemAt(
  tree: Tree,
  path: Path,
  message: string,
  severity: Problem['severity'] = 'error',
): Problem {
  let shown = path;
  // One item without its list: the path has an index that the file has not.
  while (typeof shown.at(-1) === 'number' && findEntry(tree, shown) === undefined) shown = shown.slice(0, -1);
  let written = shown;
  while (written.length > 0 && findEntry(tree, written) === undefined) written = written.slice(0, -1);
  const entry = findEntry(tree, written);
  const isExact = written.length === shown.length;
  const value = entry?.value;
  const origin = (isExact && value?.kind === 'scalar' ? value.origin : entry?.key) ?? tree.origin;
  const notes = [
    ...(value?.origin.writtenAs !== undefined && isExact ? [`written as ${value.origin.writtenAs}`] : []),
    ...(origin.file === undefined && written.length > 0 ? [`from ${origin.name}`] : []),
  ];
  const place = written.length === 0 ? {} : placeOf(origin);
  return {
    severity,
    key: keyText(shown),
    message: notes.length === 0 ? message : `${message} (${notes.join(', ')})`,
    ...place,
  };
}

function originsOf(tree: Tree): Map<string, string> {
  const origins = new Map<string, string>();
  const walk = (one: Tree, path: Path): void => {
    if (one.kind === 'map') for (const [name, entry] of one.entries) walk(entry.value, [...path, name]);
    else if (one.kind === 'list') {
      origins.set(keyText(path), one.origin.name);
      one.items.forEach((item, index) => walk(item, [...path, index]));
    } else if (one.value !== null) origins.set(keyText(path), one.origin.name);
  };
  walk(tree, []);
  return origins;
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
