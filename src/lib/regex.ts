/**
 * Regular expressions in RE2 syntax, matched in linear time: an administrator's pattern and a visitor's URL together
 * can never block the event loop. The only home of re2js.
 */
import { RE2JS } from 're2js';

import { BoundedMap } from './bounded-map.ts';

/** A compiled expression; it searches anywhere in the text unless the pattern is anchored. */
export interface Regex {
  readonly source: string;
  /** Names of the capturing groups, in no particular order. */
  readonly groupNames: readonly string[];
  /** Every text that matches begins with one of these; a single empty one when the pattern does not say so. */
  readonly prefixes: readonly string[];
  /** Whether every match begins at the start of the text. False when in doubt. */
  readonly isAnchored: boolean;
  test(text: string): boolean;
  /** The named groups of the leftmost match (null for a group that took no part), or null without a match. */
  match(text: string): Readonly<Record<string, string | null>> | null;
}

/** The index of the bracket that closes the class opened at `start`; the length of the source if none does. */
function endOfClass(source: string, start: number): number {
  let at = start + (source[start + 1] === '^' ? 2 : 1);
  if (source[at] === ']') at++;
  while (at < source.length && source[at] !== ']') {
    const named = source.startsWith('[:', at) ? source.indexOf(':]', at + 2) : -1;
    if (named !== -1) at = named + 2;
    else at += source[at] === '\\' ? 2 : 1;
  }
  return at;
}

/** Whether a `|` stands outside of all groups and classes. */
function hasTopLevelAlternation(source: string): boolean {
  let depth = 0;
  for (let at = 0; at < source.length; at++) {
    const char = source[at];
    if (char === '\\') {
      const quoted = source[at + 1] === 'Q' ? source.indexOf('\\E', at + 2) : at;
      if (quoted === -1) return false;
      at = quoted + 1;
    } else if (char === '[') at = endOfClass(source, at);
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth <= 0) return true;
  }
  return false;
}

const textStart = /^(?:\^|\\A)/;

function isAnchored(source: string): boolean {
  // With the flag m, ^ is the start of any line.
  const rest = source.replace(/^\(\?[isU]+\)/, '');
  return textStart.test(rest) && !hasTopLevelAlternation(rest);
}

interface LiteralStart {
  readonly prefixes: readonly string[];
  readonly tail: string;
}

/** More beginnings than this are not told apart. */
const maxPrefixes = 16;

/**
 * Splits a pattern that begins with `^` into the literal texts of which every match must begin with one, and the rest of
 * the pattern: `^/(js|css)/.*` has `/js/`, `/css/` and `.*`. Cautious: a single empty text when in doubt.
 */
function splitLiteral(source: string): LiteralStart {
  let at = textStart.exec(source)?.[0].length ?? 0;
  if (at === 0 || hasTopLevelAlternation(source)) return { prefixes: [''], tail: source };
  let prefixes = [''];
  while (at < source.length) {
    const piece = literalCharacter(source, at) ?? literalGroup(source, at);
    // A quantifier takes what is before it out of the certain part.
    if (piece === null || /^[?*+{]/.test(source.slice(piece.end))) break;
    const { texts, end } = piece;
    if (prefixes.length * texts.length > maxPrefixes) break;
    prefixes = prefixes.flatMap((prefix) => texts.map((text) => prefix + text));
    at = end;
  }
  return { prefixes, tail: source.slice(at) };
}

/** A part of a pattern that stands for one of these texts. */
interface LiteralPiece {
  readonly texts: readonly string[];
  readonly end: number;
}

function literalCharacter(source: string, at: number): LiteralPiece | null {
  const [, escaped, plain] = nextCharacter.exec(source.slice(at)) ?? [];
  const character = escaped ?? plain;
  if (character === undefined) return null;
  return { texts: [character], end: at + character.length + (escaped === undefined ? 0 : 1) };
}

/** A group without a name that holds nothing but texts: `(js|css)`. */
function literalGroup(source: string, start: number): LiteralPiece | null {
  if (source[start] !== '(') return null;
  const texts = [''];
  let at = start + (source.startsWith('(?:', start) ? 3 : 1);
  while (source[at] !== ')') {
    if (source[at] === '|') {
      texts.push('');
      at++;
      continue;
    }
    const piece = literalCharacter(source, at);
    if (piece === null) return null;
    texts.push(`${texts.pop()}${piece.texts[0]}`);
    at = piece.end;
  }
  return { texts, end: at + 1 };
}

/** An escaped ASCII punctuation mark, or a character that means itself. */
const nextCharacter = /^(?:\\([!-/:-@[-`{-~])|([^\\.+*?()|[\]{}^$]))/u;

/**
 * What the usual endings of a pattern ask of the text behind the literal prefix. These need no engine. A dot matches
 * anything but a line feed.
 */
const tails: Readonly<Record<string, (rest: string) => boolean>> = {
  '': () => true,
  '.*': () => true,
  $: (rest) => rest === '',
  '\\z': (rest) => rest === '',
  '.*$': (rest) => !rest.includes('\n'),
  '([/?].*)?$': (rest) => rest === '' || (/^[/?]/.test(rest) && !rest.includes('\n')),
  '(/.*)?$': (rest) => rest === '' || (rest.startsWith('/') && !rest.includes('\n')),
  '(/|$)': (rest) => rest === '' || rest.startsWith('/'),
  '([/?]|$)': (rest) => rest === '' || /^[/?]/.test(rest),
};

/** A configuration's expressions are checked, checked as part of a policy and used: they are compiled once. */
const compiledBefore = new BoundedMap<string, Regex>(2048);

/** Compiles a pattern; throws an Error that says what RE2 does not take (back-references and look-around among it). */
export function compileRegex(source: string): Regex {
  const known = compiledBefore.get(source);
  if (known !== undefined) return known;
  const regex = compile(source);
  compiledBefore.set(source, regex);
  return regex;
}

function compile(source: string): Regex {
  const compiled = RE2JS.compile(source);
  const { prefixes, tail } = splitLiteral(source);
  const testTail = textStart.test(source) && Object.hasOwn(tails, tail) ? tails[tail] : undefined;
  return {
    source,
    groupNames: Object.keys(compiled.namedGroups()),
    prefixes,
    isAnchored: isAnchored(source),
    test(text) {
      for (const prefix of prefixes) {
        if (!text.startsWith(prefix)) continue;
        if (testTail === undefined) return compiled.test(text);
        if (testTail(text.slice(prefix.length))) return true;
      }
      return false;
    },
    match(text) {
      if (!prefixes.some((prefix) => text.startsWith(prefix))) return null;
      const matcher = compiled.matcher(text);
      return matcher.find() ? matcher.getNamedGroups() : null;
    },
  };
}
