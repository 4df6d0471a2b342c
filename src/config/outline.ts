/** The schema as plain data: what keys there are, what they take, what they default to. */
import type { z } from 'zod';
import { type JsonSchema, kindOf, type ValueKind } from '../lib/schema.ts';

export interface Outline {
  /** `section`: fixed keys; `names`: keys that people choose; `list`; `value`: anything without keys. */
  readonly kind: 'section' | 'names' | 'list' | 'value';
  readonly description: string;
  /** The default as it would be written. */
  readonly fallback?: unknown;
  /** Must be written. */
  readonly required: boolean;
  /** Of a section. */
  readonly keys: ReadonlyMap<string, Outline>;
  /** Of a list or of names. */
  readonly item?: Outline;
  /** Of a value, or of a list of values. */
  readonly value?: ValueKind;
}

interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly defaultValue?: unknown;
}

/** Reads a schema made of the kinds in lib/schema.ts. */
export function outlineOf(schema: z.ZodType): Outline {
  let inner = schema;
  let description = '';
  let required = true;
  let fallback: unknown;
  for (;;) {
    description ||= inner.description ?? '';
    const kind = kindOf(inner);
    const common = { description, required, ...(fallback === undefined ? {} : { fallback }) };
    if (kind !== undefined) {
      if (kind.item === undefined) return { ...common, kind: 'value', keys: new Map(), value: kind };
      const item = outlineOf(kind.item);
      return {
        ...common,
        kind: 'list',
        keys: new Map(),
        item,
        ...(item.kind === 'value' && item.value !== undefined ? { value: item.value } : {}),
      };
    }
    const definition = inner.def as unknown as Definition;
    if (definition.type === 'object') {
      const keys = Object.entries(definition.shape ?? {}).map(
        ([name, one]) => [name, outlineOf(one)] as const,
      );
      return { ...common, kind: 'section', keys: new Map(keys) };
    }
    if (definition.type === 'record' && definition.valueType !== undefined) {
      return { ...common, kind: 'names', keys: new Map(), item: outlineOf(definition.valueType) };
    }
    if (definition.type === 'optional') required = false;
    if (definition.type === 'prefault') {
      required = false;
      fallback ??= definition.defaultValue;
    }
    const next = definition.innerType ?? definition.in;
    if (next === undefined) throw new Error(`a schema of type ${definition.type} has no outline`);
    inner = next;
  }
}

/** The outline at a path of keys and indexes, or undefined where the schema has nothing. */
export function outlineAt(outline: Outline, path: readonly (string | number)[]): Outline | undefined {
  let found: Outline | undefined = outline;
  for (const step of path) {
    if (found === undefined) return undefined;
    if (found.kind === 'section') found = found.keys.get(String(step));
    else if (found.kind === 'list' && typeof step === 'string') found = found.item?.keys.get(step);
    else found = found.item;
  }
  return found;
}

/** The value without empty text at keys that need not be written: such a key counts as absent. */
export function withoutEmptyText(value: unknown, outline: Outline | undefined): unknown {
  if (outline === undefined || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value))
    return value.map((item) => withoutEmptyText(item, outline.kind === 'list' ? outline.item : undefined));
  const inner = (name: string): Outline | undefined => {
    const { item } = outline;
    return outline.kind === 'section'
      ? outline.keys.get(name)
      : outline.kind === 'names'
        ? item
        : item?.keys.get(name);
  };
  const isEmpty = (name: string, one: unknown): boolean =>
    one === '' && inner(name)?.required === false && inner(name)?.value?.emptyIsAbsent === true;
  const kept = Object.entries(value).filter(([name, one]) => !isEmpty(name, one));
  return Object.assign(
    Object.create(null) as object,
    Object.fromEntries(kept.map(([name, one]) => [name, withoutEmptyText(one, inner(name))])),
  );
}

/** Every path that leads through fixed keys to a value or to a list of values. */
export function leavesOf(
  outline: Outline,
  path: readonly string[] = [],
): { readonly path: readonly string[]; readonly outline: Outline }[] {
  if (outline.kind === 'section')
    return [...outline.keys].flatMap(([name, inner]) => leavesOf(inner, [...path, name]));
  return outline.value === undefined || outline.kind === 'names' ? [] : [{ path, outline }];
}

/** A JSON Schema (2020-12) for editors: what may be written, not what comes out. */
export function jsonSchemaOf(outline: Outline): JsonSchema {
  return {
    ...(outline.description === '' ? {} : { description: outline.description }),
    ...(outline.fallback === undefined || outline.kind === 'section' ? {} : { default: outline.fallback }),
    ...shapeOf(outline),
  };
}

function shapeOf(outline: Outline): JsonSchema {
  if (outline.kind === 'value') return outline.value?.json ?? {};
  const item = outline.item === undefined ? {} : jsonSchemaOf(outline.item);
  if (outline.kind === 'list') return listShapeOf(outline.item, item);
  if (outline.kind === 'names') return { type: 'object', additionalProperties: item };
  const required = [...outline.keys].filter(([, inner]) => inner.required).map(([name]) => name);
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries([...outline.keys].map(([name, inner]) => [name, jsonSchemaOf(inner)])),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** A list. One item without its list is offered for plain values only; saying it for maps would double the schema. */
function listShapeOf(outline: Outline | undefined, item: JsonSchema): JsonSchema {
  if (outline?.kind === 'section') return { type: 'array', items: item };
  if (outline?.kind === 'list' && outline.item !== undefined) {
    return { type: 'array', items: { anyOf: [jsonSchemaOf(outline.item), item] } };
  }
  return { anyOf: [item, { type: 'array', items: item }] };
}
