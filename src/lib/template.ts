/**
 * Text templates in the language of Go's text/template, as configuration files and mail templates use it: actions in
 * double braces with pipelines, variables, if/else, range, with, comments and trim markers. Functions are given by the
 * caller. Not here: named templates (define, template, block), methods, complex numbers.
 *
 * Work is bounded: nesting, steps and the size of the output have limits, and beyond them is an error.
 */
import { nearestWord } from './nearest-word.ts';

export type TemplateValue =
  | string
  | number
  | boolean
  | null
  | readonly TemplateValue[]
  | ReadonlyMap<string, TemplateValue>;
/** Gets the arguments, the piped one last. Throws an Error whose message is shown with its place. */
export type TemplateFunction = (...parameters: readonly TemplateValue[]) => TemplateValue;

export interface TemplateOptions {
  readonly functions: ReadonlyMap<string, TemplateFunction>;
  /** What `.` and `$` are at the start; default null. */
  readonly data?: TemplateValue;
  /** What becomes of the text of a value before it is written into the output, such as escaping; default: nothing. */
  readonly escape?: (text: string) => string;
}

/** A fault in a template, or in a function that it calls. Line and column count from 1. */
export class TemplateError extends Error {
  override name = 'TemplateError';
  readonly line: number;
  readonly column: number;
  constructor(message: string, line: number, column: number) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

const maximumDepth = 50;
const maximumSteps = 200_000;
const maximumOutput = 16 * 1024 * 1024;

/** The text that the template makes. Throws a TemplateError. */
export function renderTemplate(
  source: string,
  { functions, data = null, escape = (text) => text }: TemplateOptions,
): string {
  const at = (offset: number, message: string): TemplateError => {
    const before = source.slice(0, offset);
    return new TemplateError(message, before.split('\n').length, offset - before.lastIndexOf('\n'));
  };
  const nodes = new Parser(tokenize(source, at), at, functions).parse();
  return new Evaluator(functions, at, data, escape).render(nodes);
}

type Fail = (offset: number, message: string) => TemplateError;

// --- Reading ---------------------------------------------------------------------------------------------------------

type Token =
  | { readonly type: 'text'; readonly text: string; readonly offset: number }
  | { readonly type: 'action'; readonly words: readonly Word[]; readonly offset: number };

interface Word {
  readonly type: 'string' | 'number' | 'name' | 'field' | 'variable' | 'sign';
  readonly text: string;
  readonly offset: number;
  /** Whether white space stood before it: `a .b` is two operands, `a.b` is one. */
  readonly isApart: boolean;
}

const comment = /^\{\{(- )?\/\*[\s\S]*?\*\/( -)?\}\}/;

function tokenize(source: string, fail: Fail): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  let trimsNext = false;
  while (offset < source.length) {
    const start = source.indexOf('{{', offset);
    let text = source.slice(offset, start === -1 ? undefined : start);
    if (trimsNext) text = text.trimStart();
    const trimsBefore = start !== -1 && /^-\s/.test(source.slice(start + 2, start + 4));
    if (trimsBefore) text = text.trimEnd();
    if (text !== '') tokens.push({ type: 'text', text, offset });
    if (start === -1) break;
    const skipped = comment.exec(source.slice(start, start + 65_536));
    if (skipped !== null) {
      trimsNext = skipped[2] !== undefined;
      offset = start + skipped[0].length;
      continue;
    }
    const action = readWords(source, start + (trimsBefore ? 3 : 2), start, fail);
    trimsNext = action.trims;
    tokens.push({ type: 'action', words: action.words, offset: start });
    offset = action.end;
  }
  return tokens;
}

const wordPattern =
  /(\s*)(?:("(?:[^"\\\n]|\\.)*"|`[^`]*`)|([-+]?(?:0x[\da-fA-F]+|\d+(?:\.\d+)?)\b)|(\$\w*)|(\.[A-Za-z_]\w*)|([A-Za-z_]\w*)|(:=|[=|().,]))/y;

function readWords(
  source: string,
  from: number,
  start: number,
  fail: Fail,
): { words: Word[]; end: number; trims: boolean } {
  const words: Word[] = [];
  let offset = from;
  for (;;) {
    const [closing = '', trims] = /^\s*?(?:(\s-)|\s*)\}\}/.exec(source.slice(offset, offset + 4096)) ?? [];
    if (closing !== '') return { words, end: offset + closing.length, trims: trims !== undefined };
    wordPattern.lastIndex = offset;
    const match = wordPattern.exec(source);
    if (match === null) {
      const rest = source.slice(offset).trimStart();
      if (!rest.includes('}}')) throw fail(start, 'has an action that is not closed by }}');
      throw fail(
        source.length - rest.length,
        `has ${JSON.stringify(rest.charAt(0))} where it has no meaning`,
      );
    }
    const [whole, space = '', string, number, variable, field, name, sign] = match;
    const text = string ?? number ?? variable ?? field ?? name ?? sign ?? '';
    const type =
      string !== undefined
        ? 'string'
        : number !== undefined
          ? 'number'
          : variable !== undefined
            ? 'variable'
            : field !== undefined
              ? 'field'
              : name !== undefined
                ? 'name'
                : 'sign';
    words.push({ type, text, offset: offset + space.length, isApart: space !== '' || words.length === 0 });
    offset += whole.length;
  }
}

// --- Syntax ----------------------------------------------------------------------------------------------------------

interface Control {
  readonly type: 'if' | 'with' | 'range';
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'output'; readonly pipeline: Pipeline }
  | Control
  | { readonly type: 'break' | 'continue' };

interface Pipeline {
  /** `$x :=`, `$i, $x :=` or `$x =`. */
  readonly variables: readonly string[];
  readonly isDeclared: boolean;
  readonly commands: readonly (readonly Operand[])[];
  readonly offset: number;
}

type Operand = { readonly fields: readonly string[]; readonly offset: number } & (
  | { readonly type: 'value'; readonly value: TemplateValue }
  | { readonly type: 'dot' }
  | { readonly type: 'variable' | 'function'; readonly name: string }
  | { readonly type: 'pipeline'; readonly pipeline: Pipeline }
);

const controls = new Set([
  'if',
  'with',
  'range',
  'else',
  'end',
  'break',
  'continue',
  'define',
  'template',
  'block',
]);
/** Functions that stop evaluating when the answer is known. */
const lazy = new Set(['and', 'or']);

class Parser {
  #next = 0;
  #words: readonly Word[] = [];
  #word = 0;
  #end = 0;
  readonly #tokens: readonly Token[];
  readonly #fail: Fail;
  readonly #functions: ReadonlyMap<string, TemplateFunction>;

  constructor(tokens: readonly Token[], fail: Fail, functions: ReadonlyMap<string, TemplateFunction>) {
    this.#tokens = tokens;
    this.#fail = fail;
    this.#functions = functions;
  }

  parse(): Node[] {
    const { nodes, stop } = this.#block(0, false);
    if (stop !== null) throw this.#fail(stop.offset, `has {{ ${stop.word} }} without a beginning`);
    return nodes;
  }

  /** Nodes up to `else` or `end`, whose words after the keyword are left to be read. */
  #block(
    depth: number,
    isLoop: boolean,
  ): { nodes: Node[]; stop: { word: 'else' | 'end'; offset: number } | null } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#tokens[this.#next];
      if (token === undefined) return { nodes, stop: null };
      this.#next += 1;
      if (token.type === 'text') {
        nodes.push({ type: 'text', text: token.text });
        continue;
      }
      if (depth > maximumDepth) throw this.#fail(token.offset, 'is nested too deeply');
      this.#words = token.words;
      this.#word = 0;
      this.#end = token.offset;
      const [first] = token.words;
      if (first === undefined) throw this.#fail(token.offset, 'has an empty action');
      const keyword = first.type === 'name' && controls.has(first.text) ? first.text : null;
      if (keyword === null) {
        nodes.push({ type: 'output', pipeline: this.#whole(depth) });
        continue;
      }
      this.#word = 1;
      switch (keyword) {
        case 'else':
        case 'end':
          return { nodes, stop: { word: keyword, offset: token.offset } };
        case 'if':
        case 'with':
        case 'range':
          nodes.push(this.#control(keyword, token.offset, depth, isLoop));
          break;
        case 'break':
        case 'continue':
          if (!isLoop) throw this.#fail(token.offset, `has ${keyword} outside of range`);
          nodes.push({ type: keyword });
          break;
        default:
          throw this.#fail(token.offset, `has {{ ${keyword} }}, which is not supported`);
      }
    }
  }

  #control(type: 'if' | 'with' | 'range', offset: number, depth: number, isLoop: boolean): Control {
    const pipeline = this.#whole(depth);
    const unclosed = this.#fail(offset, `has {{ ${type} }} without {{ end }}`);
    const body = this.#block(depth + 1, isLoop || type === 'range');
    if (body.stop === null) throw unclosed;
    if (body.stop.word === 'end') return { type, pipeline, body: body.nodes, otherwise: [] };
    const follow = this.#words[this.#word];
    if (follow !== undefined) {
      if (follow.text !== 'if' && follow.text !== 'with')
        throw this.#fail(follow.offset, `has "${follow.text}" after else, where only if may follow`);
      this.#word += 1;
      // `else if` shares the end of the first `if`.
      return {
        type,
        pipeline,
        body: body.nodes,
        otherwise: [this.#control(follow.text, follow.offset, depth + 1, isLoop)],
      };
    }
    const otherwise = this.#block(depth + 1, isLoop);
    if (otherwise.stop?.word !== 'end') throw unclosed;
    return { type, pipeline, body: body.nodes, otherwise: otherwise.nodes };
  }

  #whole(depth: number): Pipeline {
    const pipeline = this.#pipeline(depth);
    const rest = this.#words[this.#word];
    if (rest !== undefined) throw this.#fail(rest.offset, `has "${rest.text}" where the action should end`);
    return pipeline;
  }

  #pipeline(depth: number): Pipeline {
    if (depth > maximumDepth) throw this.#fail(this.#end, 'is nested too deeply');
    const offset = this.#words[this.#word]?.offset ?? this.#end;
    const { variables, isDeclared } = this.#declaration();
    const commands: Operand[][] = [];
    let isPiped = true;
    while (isPiped) {
      const command: Operand[] = [];
      for (;;) {
        const operand = this.#operand(depth);
        if (operand === null) break;
        command.push(operand);
      }
      const [first] = command;
      if (first === undefined)
        throw this.#fail(this.#words[this.#word]?.offset ?? this.#end, 'has a pipeline without a value');
      if (first.type !== 'function' && (command.length > 1 || commands.length > 0)) {
        throw this.#fail(first.offset, 'gives arguments to something that is no function');
      }
      commands.push(command);
      isPiped = this.#takeSign('|');
    }
    return { variables, isDeclared, commands, offset };
  }

  #declaration(): { variables: string[]; isDeclared: boolean } {
    const signs = this.#words
      .slice(this.#word, this.#word + 4)
      .map((word) => (word.type === 'variable' ? '$' : word.text));
    const count =
      signs[0] === '$' && (signs[1] === ':=' || signs[1] === '=')
        ? 1
        : signs[0] === '$' && signs[1] === ',' && signs[2] === '$'
          ? 2
          : 0;
    if (count === 0) return { variables: [], isDeclared: false };
    const sign = signs[count === 1 ? 1 : 3];
    const words = this.#words.slice(this.#word, this.#word + (count === 1 ? 2 : 4));
    if (sign !== ':=' && sign !== '=')
      throw this.#fail(words[0]?.offset ?? this.#end, 'has two variables without := behind them');
    this.#word += words.length;
    return {
      variables: words.filter((word) => word.type === 'variable').map((word) => word.text),
      isDeclared: sign === ':=',
    };
  }

  #takeSign(sign: string): boolean {
    const word = this.#words[this.#word];
    if (word?.type !== 'sign' || word.text !== sign) return false;
    this.#word += 1;
    return true;
  }

  #operand(depth: number): Operand | null {
    const word = this.#words[this.#word];
    if (word === undefined || (word.type === 'sign' && word.text !== '(' && word.text !== '.')) return null;
    this.#word += 1;
    const { offset } = word;
    switch (word.type) {
      case 'string':
        return { type: 'value', value: this.#unquote(word), fields: [], offset };
      case 'number':
        return { type: 'value', value: Number(word.text), fields: [], offset };
      case 'field':
        return { type: 'dot', fields: [word.text.slice(1), ...this.#fields()], offset };
      case 'variable':
        return { type: 'variable', name: word.text, fields: this.#fields(), offset };
      case 'name':
        return this.#named(word);
      case 'sign': {
        if (word.text === '.') return { type: 'dot', fields: [], offset };
        const pipeline = this.#pipeline(depth + 1);
        if (!this.#takeSign(')')) throw this.#fail(offset, 'has ( without )');
        return { type: 'pipeline', pipeline, fields: this.#fields(), offset };
      }
    }
  }

  #named({ text, offset }: Word): Operand {
    if (text === 'true' || text === 'false')
      return { type: 'value', value: text === 'true', fields: [], offset };
    if (text === 'nil') return { type: 'value', value: null, fields: [], offset };
    if (!this.#functions.has(text) && !lazy.has(text)) {
      const near = nearestWord(text, this.#functions.keys());
      throw this.#fail(
        offset,
        `calls "${text}", which is no function here${near === null ? '' : `; did you mean "${near}"?`}`,
      );
    }
    return { type: 'function', name: text, fields: [], offset };
  }

  #fields(): string[] {
    const fields: string[] = [];
    for (
      let word = this.#words[this.#word];
      word?.type === 'field' && !word.isApart;
      word = this.#words[this.#word]
    ) {
      fields.push(word.text.slice(1));
      this.#word += 1;
    }
    return fields;
  }

  #unquote({ text, offset }: Word): string {
    if (text.startsWith('`')) return text.slice(1, -1);
    try {
      return JSON.parse(text.replaceAll(/\\x([\da-fA-F]{2})/g, '\\u00$1').replaceAll("\\'", "'")) as string;
    } catch {
      throw this.#fail(offset, `has a text with an escape that cannot be read: ${text}`);
    }
  }
}

// --- Evaluation ------------------------------------------------------------------------------------------------------

interface Scope {
  readonly dot: TemplateValue;
  readonly variables: Map<string, TemplateValue>;
  readonly parent: Scope | null;
}

class Evaluator {
  #steps = 0;
  #output: string[] = [];
  #size = 0;
  readonly #functions: ReadonlyMap<string, TemplateFunction>;
  readonly #fail: Fail;
  readonly #data: TemplateValue;
  readonly #escape: (text: string) => string;

  constructor(
    functions: ReadonlyMap<string, TemplateFunction>,
    fail: Fail,
    data: TemplateValue,
    escape: (text: string) => string,
  ) {
    this.#functions = functions;
    this.#fail = fail;
    this.#data = data;
    this.#escape = escape;
  }

  render(nodes: readonly Node[]): string {
    this.#nodes(nodes, { dot: this.#data, variables: new Map([['$', this.#data]]), parent: null });
    return this.#output.join('');
  }

  #write(text: string, offset: number): void {
    this.#size += text.length;
    if (this.#size > maximumOutput) throw this.#fail(offset, 'makes more than 16 MiB of text');
    this.#output.push(text);
  }

  /** Says whether a `break` or `continue` was met. */
  #nodes(nodes: readonly Node[], scope: Scope): 'break' | 'continue' | null {
    for (const node of nodes) {
      if (node.type === 'text') {
        this.#write(node.text, 0);
      } else if (node.type === 'output') {
        const value = this.#pipeline(node.pipeline, scope);
        if (node.pipeline.variables.length === 0)
          this.#write(this.#escape(templateText(value)), node.pipeline.offset);
      } else if (!('body' in node)) {
        return node.type;
      } else {
        const jump = node.type === 'range' ? this.#range(node, scope) : this.#branch(node, scope);
        if (jump !== null) return jump;
      }
    }
    return null;
  }

  #branch(node: Control, scope: Scope): 'break' | 'continue' | null {
    const outer: Scope = { dot: scope.dot, variables: new Map(), parent: scope };
    const value = this.#pipeline(node.pipeline, outer);
    if (!isTrue(value)) return this.#nodes(node.otherwise, outer);
    return this.#nodes(node.body, {
      dot: node.type === 'with' ? value : scope.dot,
      variables: new Map(),
      parent: outer,
    });
  }

  #range(node: Control, scope: Scope): null {
    const { variables, offset } = node.pipeline;
    const value = this.#pipeline({ ...node.pipeline, variables: [] }, scope);
    const entries = this.#entries(value, offset);
    if (entries.length === 0)
      this.#nodes(node.otherwise, { dot: scope.dot, variables: new Map(), parent: scope });
    for (const [key, item] of entries) {
      const inner: Scope = { dot: item, variables: new Map(), parent: scope };
      const [first, second] = variables;
      if (second !== undefined && first !== undefined) inner.variables.set(first, key).set(second, item);
      else if (first !== undefined) inner.variables.set(first, item);
      if (this.#nodes(node.body, inner) === 'break') break;
    }
    return null;
  }

  #entries(value: TemplateValue, offset: number): [TemplateValue, TemplateValue][] {
    if (value === null) return [];
    if (typeof value === 'number') {
      if (value > maximumSteps) throw this.#fail(offset, 'takes too many steps');
      return Array.from({ length: Math.max(0, Math.trunc(value)) }, (_, index) => [index, index]);
    }
    if (isList(value)) return value.map((item, index) => [index, item]);
    if (isMap(value)) return [...value].sort(([a], [b]) => (a < b ? -1 : 1));
    throw this.#fail(offset, 'ranges over something that is no list, map or number');
  }

  #pipeline(pipeline: Pipeline, scope: Scope): TemplateValue {
    let value: TemplateValue = null;
    pipeline.commands.forEach((command, index) => {
      value = this.#command(command, scope, index === 0 ? [] : [value]);
    });
    const [name, other] = pipeline.variables;
    if (other !== undefined) throw this.#fail(pipeline.offset, 'declares two variables outside of range');
    if (name !== undefined) this.#assign(name, value, pipeline, scope);
    return value;
  }

  #assign(name: string, value: TemplateValue, pipeline: Pipeline, scope: Scope): void {
    if (pipeline.isDeclared) {
      scope.variables.set(name, value);
      return;
    }
    let holder: Scope | null = scope;
    while (holder !== null && !holder.variables.has(name)) holder = holder.parent;
    if (holder === null) throw this.#fail(pipeline.offset, `assigns to ${name}, which is not declared`);
    holder.variables.set(name, value);
  }

  #command(command: readonly Operand[], scope: Scope, piped: readonly TemplateValue[]): TemplateValue {
    this.#steps += 1;
    const [first, ...rest] = command;
    if (first === undefined) return null;
    if (this.#steps > maximumSteps) throw this.#fail(first.offset, 'takes too many steps');
    if (first.type !== 'function') return this.#operand(first, scope);
    if (lazy.has(first.name)) return this.#lazy(first.name, rest, scope, piped);
    const parameters = [...rest.map((operand) => this.#operand(operand, scope)), ...piped];
    try {
      return this.#functions.get(first.name)?.(...parameters) ?? null;
    } catch (error) {
      throw this.#fail(first.offset, `${first.name}: ${error instanceof Error ? error.message : 'failed'}`);
    }
  }

  #lazy(
    name: string,
    operands: readonly Operand[],
    scope: Scope,
    piped: readonly TemplateValue[],
  ): TemplateValue {
    let value: TemplateValue = null;
    for (const get of [
      ...operands.map((operand) => () => this.#operand(operand, scope)),
      ...piped.map((one) => () => one),
    ]) {
      value = get();
      if (isTrue(value) === (name === 'or')) return value;
    }
    return value;
  }

  #operand(operand: Operand, scope: Scope): TemplateValue {
    return operand.fields.reduce(
      (value, field) => this.#field(value, field, operand.offset),
      this.#base(operand, scope),
    );
  }

  #base(operand: Operand, scope: Scope): TemplateValue {
    switch (operand.type) {
      case 'value':
        return operand.value;
      case 'dot':
        return scope.dot;
      case 'pipeline':
        return this.#pipeline(operand.pipeline, scope);
      case 'function':
        return this.#command([operand], scope, []);
      case 'variable': {
        let holder: Scope | null = scope;
        while (holder !== null && !holder.variables.has(operand.name)) holder = holder.parent;
        if (holder === null) throw this.#fail(operand.offset, `uses ${operand.name}, which is not declared`);
        return holder.variables.get(operand.name) ?? null;
      }
    }
  }

  #field(value: TemplateValue, field: string, offset: number): TemplateValue {
    if (isMap(value)) return value.get(field) ?? null;
    throw this.#fail(offset, `reads .${field} of something that is no map`);
  }
}

export function isList(value: TemplateValue): value is readonly TemplateValue[] {
  return Array.isArray(value);
}

export function isMap(value: TemplateValue): value is ReadonlyMap<string, TemplateValue> {
  return value instanceof Map;
}

/** False for null, false, 0 and whatever is empty. */
export function isTrue(value: TemplateValue): boolean {
  if (isList(value)) return value.length > 0;
  return isMap(value) ? value.size > 0 : Boolean(value);
}

/** A value as it is written into the output. */
export function templateText(value: TemplateValue): string {
  if (value === null) return '';
  if (isList(value)) return `[${value.map(templateText).join(' ')}]`;
  if (isMap(value))
    return `map[${[...value].map(([key, item]) => `${key}:${templateText(item)}`).join(' ')}]`;
  return String(value);
}
