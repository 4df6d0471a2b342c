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
  test(text: string): boolean;
  /** The named groups of the leftmost match (null for a group that took no part), or null without a match. */
  match(text: string): Readonly<Record<string, string | null>> | null;
}

/** Characters that mean themselves in a pattern, outside of classes. */
const literal = /[^\\.+*?()|[\]{}^$]/u;

/** Whether a `|` stands outside of all groups and classes (or the pattern is too odd to tell). */
function hasTopLevelAlternation(source: string): boolean {
  let depth = 0;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (char === '\\') {
      if (source[i + 1] === 'Q') return source.includes('|');
      i++;
    } else if (char === '[') {
      // A class may hold brackets of its own ([[:digit:]], []a], [^]a]): rather than parse it, give up on a bar in it.
      const end = source.indexOf(']', i + 2);
      if (end === -1 || source.slice(i).includes('|')) return source.slice(i).includes('|');
      i = end;
    } else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth <= 0) return true;
  }
  return false;
}

/** The literal text after a leading `^` that every match must begin with. Cautious: empty when in doubt. */
function literalPrefix(source: string): string {
  const start = source.startsWith('^') ? 1 : source.startsWith('\\A') ? 2 : 0;
  if (start === 0 || hasTopLevelAlternation(source)) return '';
  const characters: string[] = [];
  const rest = Array.from(source.slice(start));
  for (let i = 0; i < rest.length; i++) {
    let char = rest[i] ?? '';
    if (char === '\\') {
      char = rest[++i] ?? '';
      if (!/[!-/:-@[-`{-~]/.test(char)) break;
    } else if (!literal.test(char)) break;
    // A quantifier takes the character before it out of the certain part.
    if (/[?*+{]/.test(rest[i + 1] ?? '')) break;
    characters.push(char);
  }
  return characters.join('');
}

/** Compiles a pattern; throws an Error that says what RE2 does not take (back-references and look-around among it). */
export function compileRegex(source: string): Regex {
  const compiled = RE2JS.compile(source);
  const prefix = literalPrefix(source);
  const groupNames = Object.keys(compiled.namedGroups());
  return {
    source,
    groupNames,
    prefix,
    test:
      prefix === ''
        ? (text) => compiled.test(text)
        : (text) => text.startsWith(prefix) && compiled.test(text),
    match(text) {
      if (!text.startsWith(prefix)) return null;
      const matcher = compiled.matcher(text);
      return matcher.find() ? matcher.getNamedGroups() : null;
    },
  };
}
