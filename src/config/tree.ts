/**
 * What was written, before it is judged: maps, lists and scalars that remember where each key and value stands. Files,
 * environment and secrets are laid over each other in this form, so that every later message can name the place.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
} from 'yaml';
import type { Problem } from './problem.ts';

/** Where something was written. */
export interface Origin {
  /** As people are told: `configuration.yml:3:5` or `environment variable SALLYPORT_THEME`. */
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** The deprecated key under which it was written. */
  readonly writtenAs?: string;
}

export interface Entry {
  readonly key: Origin;
  readonly value: Tree;
}
export interface MapTree {
  readonly kind: 'map';
  readonly origin: Origin;
  readonly entries: Map<string, Entry>;
}
export interface ListTree {
  readonly kind: 'list';
  readonly origin: Origin;
  readonly items: Tree[];
}
/** Numbers keep their spelling: `value` is text when the number would be written otherwise (`010`, `1e3`). */
export interface ScalarTree {
  readonly kind: 'scalar';
  readonly origin: Origin;
  readonly value: string | number | boolean | null;
}
export type Tree = MapTree | ListTree | ScalarTree;
export type Path = readonly (string | number)[];

const maximumDepth = 64;
/** More than any configuration has, less than an alias bomb makes. */
const maximumNodes = 200_000;

export function emptyMap(origin: Origin): MapTree {
  return { kind: 'map', origin, entries: new Map() };
}

/** Thrown where reading a document makes no sense any more. */
class Unreadable extends Error {
  readonly at: Origin;
  constructor(message: string, at: Origin) {
    super(message);
    this.at = at;
  }
}

/** The tree of one YAML document; null when it is empty or unusable (then there is a problem). */
export function parseTree(
  text: string,
  file: string,
): { readonly tree: MapTree | null; readonly problems: Problem[] } {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const originAt = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { name: `${file}:${line}:${col}`, file, line, column: col };
  };
  const report = (message: string, at: Origin): void => {
    problems.push({ severity: 'error', key: '', message, ...placeOf(at) });
  };

  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    merge: true,
    version: '1.2',
  });
  // After the first fault the parser is lost, and most of what follows is noise.
  for (const error of [...document.errors, ...document.warnings].slice(0, 3)) {
    report(`is not valid YAML: ${faultOf(error)}`, originAt(error.pos[0]));
  }
  if (problems.length > 0) return { tree: null, problems };

  const reader = new TreeReader(document, originAt, report);
  try {
    const tree = document.contents === null ? null : reader.read(document.contents, 0);
    if (tree === null || (tree.kind === 'scalar' && tree.value === null)) return { tree: null, problems };
    if (tree.kind === 'map') return { tree, problems };
    report('must be a map of keys (`key: value`)', tree.origin);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    report(error.message, error.at);
  }
  return { tree: null, problems };
}

/** What the parser says, without the text that it quotes: that may be a password which should have stood in quotes. */
function faultOf({ code, message }: { readonly code: string; readonly message: string }): string {
  if (code === 'MULTIPLE_DOCS') return 'more than one document (---) in a file';
  if (code === 'TAG_RESOLVE_FAILED') return 'an unknown tag (text that begins with ! needs quotes)';
  if (code === 'TAB_AS_INDENT') return `${message} (YAML is indented with spaces)`;
  return message.split(': ')[0] ?? message;
}

class TreeReader {
  #left = maximumNodes;
  readonly #document: Document.Parsed;
  readonly #originAt: (offset: number) => Origin;
  readonly #report: (message: string, at: Origin) => void;

  constructor(
    document: Document.Parsed,
    originAt: (offset: number) => Origin,
    report: (message: string, at: Origin) => void,
  ) {
    this.#document = document;
    this.#originAt = originAt;
    this.#report = report;
  }

  read(node: ParsedNode, depth: number): Tree {
    const origin = this.#originAt(node.range[0]);
    this.#left -= 1;
    if (this.#left < 0)
      throw new Unreadable('is too large: aliases or lists make more than 200,000 values', origin);
    if (depth > maximumDepth)
      throw new Unreadable('is nested too deeply (or an alias contains itself)', origin);
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined)
        throw new Unreadable(
          'has an alias to an anchor that does not exist (text that begins with * needs quotes)',
          origin,
        );
      return this.read(target as ParsedNode, depth + 1);
    }
    if (isMap(node)) return this.#readMap(node.items, origin, depth);
    if (isSeq(node))
      return { kind: 'list', origin, items: node.items.map((item) => this.read(item, depth + 1)) };
    return { kind: 'scalar', origin, value: isScalar(node) ? spelled(node.value, node.source) : null };
  }

  #readMap(
    items: readonly { key: ParsedNode; value: ParsedNode | null }[],
    origin: Origin,
    depth: number,
  ): MapTree {
    const map = emptyMap(origin);
    const inherited = emptyMap(origin);
    for (const { key, value } of items) {
      const place = this.#originAt(key.range[0]);
      if (!isScalar(key)) throw new Unreadable('must have plain text as a key', place);
      const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
      const tree: Tree =
        value === null ? { kind: 'scalar', origin: place, value: null } : this.read(value, depth + 1);
      if (name === '<<' && key.type === 'PLAIN') {
        this.#inherit(inherited, tree);
        continue;
      }
      if (name === '__proto__') throw new Unreadable('must not have the key __proto__', place);
      const first = map.entries.get(name);
      if (first !== undefined)
        this.#report(
          `has the key "${name}" twice: in line ${first.key.line} and in line ${place.line}`,
          place,
        );
      map.entries.set(name, { key: place, value: tree });
    }
    for (const [name, entry] of inherited.entries) if (!map.entries.has(name)) map.entries.set(name, entry);
    return map;
  }

  /** A merge key (`<<: *base`): keys of the map itself win, then those of the earlier of several bases. */
  #inherit(into: MapTree, tree: Tree): void {
    for (const base of tree.kind === 'list' ? tree.items : [tree]) {
      if (base.kind !== 'map')
        throw new Unreadable('must have a map, or a list of maps, behind the merge key <<', base.origin);
      for (const [name, entry] of base.entries) if (!into.entries.has(name)) into.entries.set(name, entry);
    }
  }
}

function spelled(value: unknown, source: string | undefined): ScalarTree['value'] {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return source === undefined || String(value) === source ? value : source;
  return value === null || value === undefined ? null : (source ?? String(value));
}

/** Later wins: maps merge deeply, everything else replaces. */
export function mergeTrees(below: MapTree, above: MapTree): MapTree {
  const merged: MapTree = { kind: 'map', origin: above.origin, entries: new Map(below.entries) };
  for (const [name, entry] of above.entries) {
    const old = below.entries.get(name);
    const isDeep = old?.value.kind === 'map' && entry.value.kind === 'map';
    if (old !== undefined && entry.value.kind === 'scalar' && entry.value.value === null) continue;
    merged.entries.set(name, isDeep ? { key: entry.key, value: mergeTrees(old.value, entry.value) } : entry);
  }
  return merged;
}

/** Plain values. A key without a value counts as absent. */
export function toValue(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(toValue);
  const value: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, entry] of tree.entries) {
    if (entry.value.kind !== 'scalar' || entry.value.value !== null) value[name] = toValue(entry.value);
  }
  return value;
}

/** What stands at the path, or undefined. */
export function findTree(tree: Tree, path: Path): Tree | undefined {
  return findEntry(tree, path)?.value;
}

/** What stands at the path, with the place of its key (of a list item: of the item). */
export function findEntry(tree: Tree, path: Path): Entry | undefined {
  let found: Entry = { key: tree.origin, value: tree };
  for (const step of path) {
    const { value } = found;
    const next =
      typeof step === 'number'
        ? asItem(value, step)
        : value.kind === 'map'
          ? value.entries.get(step)
          : undefined;
    if (next === undefined) return undefined;
    found = next;
  }
  return found;
}

function asItem(tree: Tree, index: number): Entry | undefined {
  const item = tree.kind === 'list' ? tree.items[index] : undefined;
  return item === undefined ? undefined : { key: item.origin, value: item };
}

/** Puts an entry at the path and makes the maps on the way. False when something else than a map is in the way. */
export function putEntry(tree: MapTree, path: readonly string[], entry: Entry): boolean {
  let map = tree;
  for (const step of path.slice(0, -1)) {
    const next = map.entries.get(step)?.value;
    if (next !== undefined && next.kind !== 'map' && !(next.kind === 'scalar' && next.value === null))
      return false;
    const inner = next?.kind === 'map' ? next : emptyMap(entry.key);
    if (inner !== next) map.entries.set(step, { key: entry.key, value: inner });
    map = inner;
  }
  map.entries.set(path.at(-1) ?? '', entry);
  return true;
}

/** Removes and returns what stands at the path, if it has a value. */
export function takeEntry(tree: MapTree, path: readonly string[]): Entry | undefined {
  const parent = findTree(tree, path.slice(0, -1));
  const name = path.at(-1) ?? '';
  const entry = parent?.kind === 'map' ? parent.entries.get(name) : undefined;
  if (entry === undefined || parent?.kind !== 'map') return undefined;
  parent.entries.delete(name);
  return entry.value.kind === 'scalar' && entry.value.value === null ? undefined : entry;
}

/** `access_control.rules[3].policy` */
export function keyText(path: Path): string {
  return path
    .map((step, index) =>
      typeof step === 'number'
        ? `[${step}]`
        : `${index === 0 ? '' : '.'}${/^[\w/~-]+$/.test(step) ? step : JSON.stringify(step)}`,
    )
    .join('');
}

/** The part of an origin that a problem shows. */
export function placeOf(origin: Origin): { file?: string; line?: number; column?: number } {
  return {
    ...(origin.file === undefined ? {} : { file: origin.file }),
    ...(origin.line === undefined ? {} : { line: origin.line }),
    ...(origin.column === undefined ? {} : { column: origin.column }),
  };
}
