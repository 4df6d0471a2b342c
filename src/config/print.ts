/** The configuration in force as YAML: what was written and what is default, each value with where it comes from. */
import { Document, isScalar, type Node, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Outline } from './outline.ts';
import { type Configuration, configurationOutline } from './schema.ts';
import { keyText, type Path } from './tree.ts';

const redacted = '<redacted>';

/** Secrets are replaced; durations and addresses stand as they would be written. `origins` as `loadConfiguration` gives them. */
export function printConfiguration(config: Configuration, origins: ReadonlyMap<string, string>): string {
  const document = new Document();
  document.contents = new Printer(origins).node(config, configurationOutline, []) as never;
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

class Printer {
  readonly #origins: ReadonlyMap<string, string>;

  constructor(origins: ReadonlyMap<string, string>) {
    this.#origins = origins;
  }

  node(value: unknown, outline: Outline | undefined, path: Path): Node {
    if (outline?.kind === 'value' || typeof value !== 'object' || value === null)
      return this.#scalar(value, outline, path);
    if (Array.isArray(value)) return this.#list(value, outline, path);
    const map = new YAMLMap();
    const names = outline?.kind === 'section' ? [...outline.keys.keys()] : Object.keys(value);
    for (const name of names) {
      const inner = (value as Readonly<Record<string, unknown>>)[name];
      if (inner === undefined) continue;
      const key = outline?.kind === 'section' ? outline.keys.get(name) : outline?.item;
      map.set(name, this.node(inner, key, [...path, name]));
    }
    if (map.items.length === 0) map.flow = true;
    return map;
  }

  #scalar(value: unknown, outline: Outline | undefined, path: Path): Node {
    const kind = outline?.value;
    const written =
      kind?.secret === true && value !== '' ? redacted : (kind?.write?.(value as never) ?? value);
    if (Array.isArray(written)) return this.#list(written, undefined, path);
    const node = new Scalar(written);
    if (typeof written === 'string') node.type = isPlain(written) ? 'PLAIN' : 'QUOTE_SINGLE';
    node.comment = ` ${this.#originOf(path)}`;
    return node;
  }

  /** A list of plain values stands in one line with one source. */
  #list(values: readonly unknown[], outline: Outline | undefined, path: Path): Node {
    const list = new YAMLSeq();
    values.forEach((value, index) => list.add(this.node(value, outline?.item, [...path, index])));
    list.flow = list.items.every((item) => isScalar(item) || (item instanceof YAMLSeq && item.flow === true));
    if (list.flow) {
      for (const item of list.items) if (isScalar(item) || item instanceof YAMLSeq) item.comment = null;
      list.comment = ` ${this.#originOf(path)}`;
    }
    return list;
  }

  #originOf(path: Path): string {
    for (let length = path.length; length > 0; length -= 1) {
      const origin = this.#origins.get(keyText(path.slice(0, length)));
      if (origin !== undefined && path.slice(length).every((step) => typeof step === 'number')) return origin;
    }
    return 'default';
  }
}

function isPlain(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_.-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text);
}
