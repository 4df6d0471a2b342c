import type { StoredSession } from '../../store.ts';

/** The first byte of a record. */
export const FORMAT = 1;
/** Format, version, createdAt, expiresAt, lastActivity; the numbers as doubles, so that none is cut. */
export const HEAD = 1 + 4 * 8;
const NO_TEXT = 0xffff;

/**
 * A record: the head, user id, public id and sid (each with its length in two bytes before it; 0xffff: null), and the
 * sealed bytes. The scripts read it too.
 */
export function encode(session: StoredSession): Buffer {
  const texts = [session.userId, session.publicId, session.sid].map((text) =>
    text === null ? null : Buffer.from(text),
  );
  const size = texts.reduce((sum, text) => sum + 2 + (text?.length ?? 0), HEAD + session.sealed.length);
  const record = Buffer.allocUnsafe(size);
  record[0] = FORMAT;
  record.writeDoubleBE(session.version, 1);
  record.writeDoubleBE(session.createdAt, 9);
  record.writeDoubleBE(session.expiresAt, 17);
  record.writeDoubleBE(session.lastActivity, 25);
  let at = HEAD;
  for (const text of texts) {
    if (text !== null && text.length >= NO_TEXT)
      throw new RangeError('an id of a session is too long for Redis');
    at = record.writeUInt16BE(text?.length ?? NO_TEXT, at);
    if (text !== null) at += text.copy(record, at);
  }
  session.sealed.copy(record, at);
  return record;
}

/** Null when it is no record of ours. */
export function decode(key: string, record: Buffer): StoredSession | null {
  if (record[0] !== FORMAT) return null;
  let at = HEAD;
  const text = (): string | null => {
    const length = record.readUInt16BE(at);
    at += 2;
    if (length === NO_TEXT) return null;
    if (at + length > record.length) throw new RangeError('cut off');
    const value = record.toString('utf8', at, at + length);
    at += length;
    return value;
  };
  try {
    const [userId, publicId, sid] = [text(), text(), text()];
    if (userId === null || publicId === null) return null;
    return {
      key,
      version: record.readDoubleBE(1),
      publicId,
      userId,
      sid,
      createdAt: record.readDoubleBE(9),
      expiresAt: record.readDoubleBE(17),
      lastActivity: record.readDoubleBE(25),
      sealed: record.subarray(at),
    };
  } catch {
    return null;
  }
}

/** What the members of `expiry` and `users` begin with: user id with its length, so that none is the beginning of another. */
export function userPart(userId: string): Buffer {
  const text = Buffer.from(userId);
  const part = Buffer.allocUnsafe(2 + text.length);
  part.writeUInt16BE(text.length, 0);
  text.copy(part, 2);
  return part;
}

/** The key that stands behind the user in a member. */
export const keyOfMember = (member: Buffer): string => member.toString('utf8', 2 + member.readUInt16BE(0));
