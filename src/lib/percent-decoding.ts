/** Percent-decoding that says exactly what becomes of malformed input, unlike `decodeURIComponent`. */

/** The value of the hexadecimal digit with this character code, -1 if it is none (also for NaN, past the end of a text). */
export function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** The byte that an escape at `at` stands for, -1 if there is none. */
function escapedByte(text: string, at: number): number {
  if (text.charCodeAt(at) !== 37) return -1;
  const high = hexValue(text.charCodeAt(at + 1));
  const low = hexValue(text.charCodeAt(at + 2));
  return high < 0 || low < 0 || at + 2 >= text.length ? -1 : high * 16 + low;
}

/** Bytes that spell a character in more bytes than it needs; some decoders take them for `/` or `.`. */
function isOverlong(lead: number, next: number): boolean {
  if (next < 0x80 || next > 0xbf) return false;
  return (
    lead === 0xc0 ||
    lead === 0xc1 ||
    lead >= 0xf8 ||
    (lead === 0xe0 && next < 0xa0) ||
    (lead === 0xf0 && next < 0x90)
  );
}

function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 1;
}

/** Text from bytes, each byte that is no part of valid UTF-8 on its own as U+FFFD. Null for overlong UTF-8. */
function decodeBytes(bytes: readonly number[], allowsOverlong: boolean): string | null {
  let text = '';
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i] ?? 0;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      i++;
      continue;
    }
    if (!allowsOverlong && isOverlong(lead, bytes[i + 1] ?? 0)) return null;
    const length = sequenceLength(lead);
    let point = lead & (0xff >> (length + 1));
    let read = 1;
    while (read < length) {
      const next = bytes[i + read] ?? 0;
      if ((next & 0xc0) !== 0x80) break;
      point = point * 64 + (next & 0x3f);
      read++;
    }
    const valid = length > 1 && read === length && point <= 0x10_ffff && (point < 0xd800 || point > 0xdfff);
    text += valid ? String.fromCodePoint(point) : '\ufffd';
    i += valid ? length : 1;
  }
  return text;
}

/**
 * Decodes every `%XX` once, as UTF-8; each byte that is no part of valid UTF-8 becomes U+FFFD, as Go's expressions see it.
 * What to do with an escape without two hexadecimal digits and with overlong UTF-8 (`%c0%ae` for a dot): `refuse` answers
 * null for both, `keep` leaves the former as it is and refuses the latter, `replace` refuses the former and takes the
 * latter's bytes for invalid.
 */
export function decodePercent(text: string, malformed: 'refuse' | 'keep' | 'replace'): string | null {
  let at = text.indexOf('%');
  if (at === -1) return text;
  let decoded = '';
  let from = 0;
  while (at !== -1) {
    const bytes: number[] = [];
    let end = at;
    for (let byte = escapedByte(text, end); byte !== -1; byte = escapedByte(text, end)) {
      bytes.push(byte);
      end += 3;
    }
    const isMalformed = text.charCodeAt(end) === 37;
    if (isMalformed && malformed !== 'keep') return null;
    const characters = decodeBytes(bytes, malformed === 'replace');
    if (characters === null) return null;
    decoded += text.slice(from, at) + characters;
    from = end;
    at = text.indexOf('%', isMalformed ? end + 1 : end);
  }
  return decoded + text.slice(from);
}
