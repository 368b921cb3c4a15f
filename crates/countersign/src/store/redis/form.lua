-- The form of a user's hash, and functions that all scripts of the token store share.
--
-- Fields of the hash:
-- - 'u': the user's id with its kind.
-- - 'a' and a digest: an access token.
-- - 's' and an id: a session with its refresh token.
-- - 'a@' and an id: the mark of a session that was re-authenticated. It is an access token's record
--   whose time of issue is that of the latest re-authentication, and means nothing without the
--   session. Servers that don't know marks treat it like an access token of the session.
-- - 'r' and a digest: a refresh token without a session.
-- - 'e': the user's fence.
-- - 'n': fences that were replaced and whose signed tokens may not be denied yet, as fence:session
--   that was kept, separated by commas.
-- - 'o': present if the records behind no fence have ended, all but the session whose field it
--   names.
-- - 'x': when to look for records that have ended.
-- - 'c': how far that look has come.
-- - 'd': the name of the latest removal.
--
-- A record is version|gone|digest|created|expires|session end. The record of a refresh token goes
-- on with |family|consumed|opened|used|user agent|ip|label and, since version 2, |signed access
-- end. Version 2 ends with |fence, which is - for none. A record may be removed once 'gone' has
-- passed. Times are microseconds since 1970.
--
-- Version 1 is written for access tokens of a session, which are live as long as the session is,
-- and is the version of all records from before there were fences.

-- The time in milliseconds that a fence is kept at least after it was asked for or put there.
local FENCE_LIFE = 86400000

-- Formats a time for Redis. tostring() would round it.
local function moment(number)
  return string.format('%.0f', number)
end

-- Returns the time from which a record may be removed.
local function gone(record)
  return tonumber(string.match(record, '^[12]|(%d+)|')) or 0
end

-- Returns the digest of a session's refresh token, which is empty in other records.
local function digest(record)
  return string.match(record, '^[12]|%d+|([^|]*)|')
end

-- Returns the field of the mark that belongs to the field of a session.
local function mark_of(session)
  return 'a@' .. string.sub(session, 2)
end

-- Returns the fence that a record of version 2 ends with, and the text before it.
local function fence_of(record)
  local before, fence = string.match(record, '^(2|.*|)([-%x]*)$')
  return fence, before
end

-- Returns true if Redis complains that the key holds another type of value. Any other complaint,
-- for example that a command isn't allowed, says nothing of the key.
local function is_foreign(answer)
  return type(answer) == 'table' and answer.err and string.find(answer.err, '^WRONGTYPE') ~= nil
end

-- Returns the user's fence, or nil if there is none in our form.
local function standing(key)
  local fence = redis.call('HGET', key, 'e')
  return fence and #fence == 32 and not string.find(fence, '[^0-9a-f]') and fence or nil
end

-- Returns the field of the only record behind no fence that is live, or another text if none is.
-- Returns false while these records haven't ended.
local function elder_of(key)
  return redis.call('HGET', key, 'o')
end

-- Returns true if a record that is live by itself hasn't been ended. It runs for hundreds of
-- records in a script, so it compares parts of the text instead of matching a pattern.
local function is_live(field, record, fence, elder)
  local version = string.sub(record, 1, 2)
  if version == '2|' and string.sub(record, -2) ~= '|-' then
    return fence ~= nil and string.sub(record, -32) == fence and string.sub(record, -33, -33) == '|'
  end
  return (version == '1|' or version == '2|') and (not elder or elder == field)
end

-- Returns the record in the form of version 2, behind the given fence.
local function behind(record, fence)
  local _, before = fence_of(record)
  if before then
    return before .. fence
  end
  local _, bars = string.gsub(record, '|', '')
  return '2' .. string.sub(record, 2) .. (bars > 5 and '||' or '|') .. fence
end

-- Makes a fence for a hash that has none, out of a digest that no other login has.
local function first_fence(digest)
  return string.sub(redis.sha1hex(digest), 1, 32)
end

-- Extends the life of the key to at least ttl milliseconds.
local function live_at_least(key, ttl)
  if redis.call('PTTL', key) < ttl then
    redis.call('PEXPIRE', key, ttl)
  end
end
