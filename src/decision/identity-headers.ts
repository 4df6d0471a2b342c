/**
 * The headers that tell an application who is asking. All four are always there, empty when there is nothing to say:
 * so nothing that a client sent under these names survives a proxy that copies them.
 */

/** What an application is told of a person. */
export interface Identity {
  readonly username: string;
  readonly displayName: string;
  readonly emails: readonly string[];
  readonly groups: readonly string[];
}

/** Names and values together, with the separators of HTTP/1.1. Proxies buffer 8 KiB of header for an answer. */
const maxBytes = 7 * 1024;

// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const controls = /[\u0000-\u001f\u007f]+/g;
/** What a name cannot keep on its way, and what looks like an escape already. */
// oxlint-disable-next-line no-control-regex -- likewise
const unfitInName = /[\u0000-\u001f\u007f]|^\s|\s$|%[\dA-F]{2}/;
const unfitInGroup = new RegExp(`${unfitInName.source}|,`);
// oxlint-disable-next-line no-control-regex -- likewise
const escaped = /[\u0000-\u001f\u007f%,]|^\s|\s$/g;

const encoder = new TextEncoder();

/** UTF-8 as it goes over the wire: a string with one character for each byte, which Node.js writes as it is. */
function toWire(text: string): string {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  if (/^[\u0000-\u007f]*$/.test(text)) return text;
  let wire = '';
  for (const byte of encoder.encode(text)) wire += String.fromCharCode(byte);
  return wire;
}

/** A text for people: what a header cannot carry becomes a space. */
function textValue(text: string): string {
  return toWire(text.replaceAll(controls, ' ').trim());
}

/**
 * A name that applications compare. It must not turn into somebody else's: what a header cannot carry (control
 * characters, a blank at either end) and what `unfit` adds is percent-encoded, and so is `%` in such a name, so that two
 * names never look alike. All other names are sent as they are.
 */
function nameValue(name: string, unfit: RegExp): string {
  if (!unfit.test(name)) return toWire(name);
  return toWire(name.toWellFormed().replaceAll(escaped, (character) => encodeURIComponent(character)));
}

/** Every group that still fits, in order, joined by commas: a subset of whole names. */
function groupsValue(groups: readonly string[], room: number): string {
  const sent: string[] = [];
  let left = room;
  for (const group of groups) {
    const value = nameValue(group, unfitInGroup);
    if (value === '' || value.length + 1 > left) continue;
    sent.push(value);
    left -= value.length + 1;
  }
  return sent.join(',');
}

/**
 * Names and values in turn, ready for `writeHead`: `Remote-User`, `Remote-Groups`, `Remote-Name`, `Remote-Email`.
 * Values are raw UTF-8. The groups are joined by commas; a comma inside of a group's name is sent as `%2C` and `%` in
 * that name as `%25`, so that one group never reads as two. All four stay below 7 KiB: groups that do not fit are left
 * out whole; any other value that does not fit is sent empty, never cut.
 */
export function identityHeaders(identity: Identity | null): readonly string[] {
  if (identity === null) return anonymousHeaders;
  let room = maxBytes - anonymousBytes;
  const fit = (value: string): string => {
    if (value.length > room) return '';
    room -= value.length;
    return value;
  };
  const user = fit(nameValue(identity.username, unfitInName));
  const name = fit(textValue(identity.displayName));
  const email = fit(textValue(identity.emails[0] ?? ''));
  const groups = groupsValue(identity.groups, room);
  return ['Remote-User', user, 'Remote-Groups', groups, 'Remote-Name', name, 'Remote-Email', email];
}

const anonymousHeaders = Object.freeze(
  ['Remote-User', 'Remote-Groups', 'Remote-Name', 'Remote-Email'].flatMap((header) => [header, '']),
);
/** With the colon, the space and the line end of each. */
const anonymousBytes = anonymousHeaders.reduce((sum, text) => sum + text.length + 2, 0);
