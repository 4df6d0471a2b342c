/**
 * Regular expressions in RE2 syntax, matched in linear time: an administrator's pattern and a visitor's URL together
 * can never block the event loop. The only home of re2js.
 */
import { RE2JS } from 're2js';

/** A compiled expression; it searches anywhere in the text unless the pattern is anchored. */
export interface Regex {
  readonly source: string;
  /** Names of the capturing groups, in no particular order. */
  readonly groupNames: readonly string[];
  /** Every text that matches begins with this; empty when the pattern does not say so. */
  readonly prefix: string;
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

/**
 * Splits a pattern that begins with `^` into the literal text that every match must begin with, and the rest of the
 * pattern. Cautious: the text is empty when in doubt.
 */
function splitLiteral(source: string): { readonly prefix: string; readonly tail: string } {
  const start = textStart.exec(source)?.[0].length ?? 0;
  if (start === 0 || hasTopLevelAlternation(source)) return { prefix: '', tail: source };
  let prefix = '';
  let at = start;
  while (at < source.length) {
    const [, escaped, plain] = nextCharacter.exec(source.slice(at)) ?? [];
    const character = escaped ?? plain;
    if (character === undefined) break;
    const next = at + character.length + (escaped === undefined ? 0 : 1);
    // A quantifier takes the character before it out of the certain part.
    if (/^[?*+{]/.test(source.slice(next))) break;
    prefix += character;
    at = next;
  }
  return { prefix, tail: source.slice(at) };
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

/** Compiles a pattern; throws an Error that says what RE2 does not take (back-references and look-around among it). */
export function compileRegex(source: string): Regex {
  const compiled = RE2JS.compile(source);
  const { prefix, tail } = splitLiteral(source);
  const testTail = textStart.test(source) && Object.hasOwn(tails, tail) ? tails[tail] : undefined;
  return {
    source,
    groupNames: Object.keys(compiled.namedGroups()),
    prefix,
    isAnchored: isAnchored(source),
    test(text) {
      if (!text.startsWith(prefix)) return false;
      return testTail === undefined ? compiled.test(text) : testTail(text.slice(prefix.length));
    },
    match(text) {
      if (!text.startsWith(prefix)) return null;
      const matcher = compiled.matcher(text);
      return matcher.find() ? matcher.getNamedGroups() : null;
    },
  };
}
