-- A user's key is a hash. Field 'u' says whose it is, 'a' and a digest is an access token, 's' and an id is a session with
-- its refresh token, 'r' and a digest is a refresh token without session. 'e' is the user's fence, 'n' lists fences that were
-- replaced and whose signed tokens may not be denied yet, 'o' says that what is behind no fence has ended, but the session whose
-- field it names, 'x' says when to look for what has ended, 'c' how far that look has come, and 'd' names the removal that was
-- last.
-- A record is version|gone|digest|created|expires|session end, for a refresh token followed by
-- |family|consumed|opened|used|user agent|ip|label and, since version 2, |signed access end. It ends with |fence in version 2,
-- which is - for none, and may be removed once 'gone' has passed. Version 1 are records from before fences, and access tokens
-- of a session, which live and end with it.

-- How long a fence stands at least, in milliseconds, after somebody asked for it or put it there.
local FENCE_LIFE = 86400000

-- A moment as Redis is told it: tostring() would round it.
local function moment(number)
  return string.format('%.0f', number)
end

local function gone(record)
  return tonumber(string.match(record, '^[12]|(%d+)|')) or 0
end

local function digest(record)
  return string.match(record, '^[12]|%d+|([^|]*)|')
end

-- The fence that a record of version 2 ends with, and what comes before it.
local function fence_of(record)
  local before, fence = string.match(record, '^(2|.*|)([-%x]*)$')
  return fence, before
end

-- Whether the answer is Redis's complaint that the key holds another type of value. Any other complaint, as that a command
-- isn't allowed, says nothing of the key.
local function is_foreign(answer)
  return type(answer) == 'table' and answer.err and string.find(answer.err, '^WRONGTYPE') ~= nil
end

-- The user's fence; nothing when there is none of ours.
local function standing(key)
  local fence = redis.call('HGET', key, 'e')
  return fence and #fence == 32 and not string.find(fence, '[^0-9a-f]') and fence or nil
end

-- The field of the only record behind no fence that goes on, or any other text for none; nothing while they haven't ended.
local function elder_of(key)
  return redis.call('HGET', key, 'o')
end

-- Whether a record that lives by itself is live. It is asked of many records, so it takes no pattern.
local function is_live(field, record, fence, elder)
  local version = string.sub(record, 1, 2)
  if version == '2|' and string.sub(record, -2) ~= '|-' then
    return fence ~= nil and string.sub(record, -32) == fence and string.sub(record, -33, -33) == '|'
  end
  return (version == '1|' or version == '2|') and (not elder or elder == field)
end

-- The record in the form of version 2, behind that fence from now on.
local function behind(record, fence)
  local _, before = fence_of(record)
  if before then
    return before .. fence
  end
  local _, bars = string.gsub(record, '|', '')
  return '2' .. string.sub(record, 2) .. (bars > 5 and '||' or '|') .. fence
end

-- A fence for a key that has none: made of what no other login has.
local function first_fence(digest)
  return string.sub(redis.sha1hex(digest), 1, 32)
end

local function live_at_least(key, ttl)
  if redis.call('PTTL', key) < ttl then
    redis.call('PEXPIRE', key, ttl)
  end
end
