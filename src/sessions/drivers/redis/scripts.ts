import { createHash } from 'node:crypto';

import { FORMAT, HEAD } from './record.ts';

/** Offsets of `encode`, counted from 1. */
const prelude = `
local function get(name)
  local record = redis.call('GET', name)
  if record and #record >= ${HEAD + 6} and string.byte(record) == ${FORMAT} then return record end
  return false
end
local function userPart(record)
  local high, low = string.byte(record, ${HEAD + 1}, ${HEAD + 2})
  return string.sub(record, ${HEAD + 1}, ${HEAD + 2} + high * 256 + low)
end
local function publicId(record)
  local at = ${HEAD + 1} + #userPart(record)
  local high, low = string.byte(record, at, at + 1)
  return string.sub(record, at + 2, at + 1 + high * 256 + low)
end
`;

/** A script and its digest, by which a server knows it that has seen it. */
export interface Script {
  readonly source: string;
  readonly sha: string;
}

function script(body: string): Script {
  const source = prelude + body;
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** Keys: record, activity, expiry, users. Arguments: key, record, lifetime in ms, lastActivity, expiresAt. */
export const insertScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
local member = userPart(ARGV[2]) .. ARGV[1]
redis.call('ZADD', KEYS[3], ARGV[5], member)
redis.call('ZADD', KEYS[4], 0, member)
return 1`);

/** Keys: old record, activity, expiry, users, new record. Arguments: those of insert, old key, its version as in the record. */
export const replaceScript = script(`
local old = get(KEYS[1])
if not old or string.sub(old, 2, 9) ~= ARGV[7] then return 0 end
if KEYS[1] ~= KEYS[5] and redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
local seen = redis.call('ZSCORE', KEYS[2], ARGV[6])
local gone, member = userPart(old) .. ARGV[6], userPart(ARGV[2]) .. ARGV[1]
redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if seen then redis.call('ZADD', KEYS[2], 'GT', seen, ARGV[1]) end
if KEYS[1] ~= KEYS[5] then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[6])
end
if gone ~= member then
  redis.call('ZREM', KEYS[3], gone)
  redis.call('ZREM', KEYS[4], gone)
end
redis.call('ZADD', KEYS[3], ARGV[5], member)
redis.call('ZADD', KEYS[4], 0, member)
return 1`);

/**
 * Keys: record, activity, expiry, users, mark. Arguments: key, lifetime of the mark or empty. The mark is written when
 * nothing else is, so that WAIT has something to wait for that came after an earlier delete.
 */
export const deleteScript = script(`
local record = get(KEYS[1])
local changes = redis.call('DEL', KEYS[1]) + redis.call('ZREM', KEYS[2], ARGV[1])
if record then
  local member = userPart(record) .. ARGV[1]
  changes = changes + redis.call('ZREM', KEYS[3], member) + redis.call('ZREM', KEYS[4], member)
end
if changes == 0 and ARGV[2] ~= '' then redis.call('SET', KEYS[5], '1', 'PX', ARGV[2]) end
return record and publicId(record)`);

/**
 * Keys: users, activity, expiry, mark, records. Arguments: limits of the user's members, user part, '=' and the public id
 * to spare (or empty), lifetime of the mark or empty, keys. False when the user has not exactly these keys (any more).
 */
export const deleteByUserScript = script(`
if redis.call('ZLEXCOUNT', KEYS[1], ARGV[1], ARGV[2]) ~= #KEYS - 4 then return false end
for i = 5, #KEYS do
  if not redis.call('ZSCORE', KEYS[1], ARGV[3] .. ARGV[i + 1]) then return false end
end
local ended, changes = {}, 0
for i = 5, #KEYS do
  local key, record = ARGV[i + 1], get(KEYS[i])
  local isOwn = record and userPart(record) == ARGV[3]
  if not isOwn or '=' .. publicId(record) ~= ARGV[4] then
    if isOwn then
      ended[#ended + 1] = publicId(record)
      redis.call('DEL', KEYS[i])
      redis.call('ZREM', KEYS[2], key)
    end
    redis.call('ZREM', KEYS[3], ARGV[3] .. key)
    redis.call('ZREM', KEYS[1], ARGV[3] .. key)
    changes = changes + 1
  end
end
if changes == 0 and ARGV[5] ~= '' then redis.call('SET', KEYS[4], '1', 'PX', ARGV[5]) end
return ended`);

/** Keys: expiry, activity, users, records. Arguments: now, and of each record its member and its key. */
export const sweepScript = script(`
local swept = 0
for i = 4, #KEYS do
  local member, key = ARGV[(i - 3) * 2], ARGV[(i - 3) * 2 + 1]
  local ends = redis.call('ZSCORE', KEYS[1], member)
  if ends and tonumber(ends) < tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[3], member)
    local record = get(KEYS[i])
    if not record or userPart(record) .. key == member then
      redis.call('ZREM', KEYS[2], key)
      swept = swept + redis.call('DEL', KEYS[i])
    end
  end
end
return swept`);
