-- A user's key is a hash. Field 'u' says whose it is, 'a' and a digest is an access token, 's' and an id is a session with
-- its refresh token, 'r' and a digest is a refresh token without session; 'e' is the user's fence, 'x' says when to look for
-- what has ended, and 'c' how far that look has come. A record is version|gone|digest|created|expires|session end, for a
-- refresh token followed by |family|consumed|opened|used|user agent|ip|label, and may be removed once 'gone' has passed.

-- A moment as Redis is told it: tostring() would round it.
local function moment(number)
  return string.format('%.0f', number)
end

local function gone(record)
  return tonumber(string.match(record, '^1|(%d+)|')) or 0
end

local function digest(record)
  return string.match(record, '^1|%d+|([^|]*)|')
end

-- Whether the answer is Redis's complaint that the key holds another type of value. Any other complaint, as that a command
-- isn't allowed, says nothing of the key.
local function is_foreign(answer)
  return type(answer) == 'table' and string.find(answer.err, '^WRONGTYPE') ~= nil
end

-- How far the look has come; nowhere yet when the mark is none of ours.
local function progress(key)
  local mark = redis.call('HGET', key, 'c') or ''
  return #mark < 20 and string.match(mark, '^%d+$') or '0'
end

-- Removes what has ended, about a thousand records at most: a small key whole, a large one piece by piece.
local function tidy(key, now)
  local whole = redis.call('HLEN', key) <= 1000
  local cursor = whole and '0' or progress(key)
  local found = redis.call('HSCAN', key, cursor, 'COUNT', 1000)
  local dead, next_look = {}, nil
  for i = 1, #found[2], 2 do
    local field, record = found[2][i], found[2][i + 1]
    if #field > 1 then
      local ends = gone(record)
      if ends <= now then
        dead[#dead + 1] = field
      elseif not next_look or ends < next_look then
        next_look = ends
      end
    end
  end
  for i = 1, #dead, 500 do
    redis.call('HDEL', key, unpack(dead, i, math.min(i + 499, #dead)))
  end
  if found[1] ~= '0' then
    redis.call('HSET', key, 'c', found[1])
  elseif whole then
    redis.call('HSET', key, 'x', moment(next_look or now + 60000000))
  else
    -- Other pieces were seen earlier: look again in a minute.
    redis.call('HDEL', key, 'c')
    redis.call('HSET', key, 'x', moment(now + 60000000))
  end
end

-- After a write: the key lives as long as its records, and is rid of those that have ended.
local function keep(key, ttl, now, soonest)
  if redis.call('PTTL', key) < ttl then
    redis.call('PEXPIRE', key, ttl)
  end
  local look = tonumber(redis.call('HGET', key, 'x') or nil)
  if not look or soonest < look then
    look = soonest
    redis.call('HSET', key, 'x', moment(look))
  end
  if look <= now then
    tidy(key, now)
  end
end
