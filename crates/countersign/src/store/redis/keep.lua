-- Functions that remove records which have ended, a bounded number at a time.
--
-- progress() returns the HSCAN cursor that the look has reached: '0' at the start, or if the field
-- holds anything but a cursor.
local function progress(key)
  local mark = redis.call('HGET', key, 'c') or ''
  return #mark < 21 and string.match(mark, '^%d+$') or '0'
end

-- Looks at about 'count' fields from 'cursor'. Returns the fields that can be removed, the first
-- end among the others, and the next cursor.
local function look(key, now, cursor, count)
  local fence, elder = standing(key), elder_of(key)
  local found = redis.call('HSCAN', key, cursor, 'COUNT', count)
  local dead, next_look = {}, nil
  for i = 1, #found[2], 2 do
    local field, record = found[2][i], found[2][i + 1]
    if #field > 1 then
      local ends = gone(record)
      -- An access token of version 1 may belong to a live session, which this look may not have
      -- seen.
      local follows = string.sub(field, 1, 1) == 'a' and string.sub(record, 1, 2) == '1|'
      if ends <= now or not (follows or is_live(field, record, fence, elder)) then
        dead[#dead + 1] = field
      elseif not next_look or ends < next_look then
        next_look = ends
      end
    end
  end
  return dead, next_look, found[1]
end

-- Removes the first 'count' of the fields. unpack() is given 500 at most, for Lua's stack is small.
local function drop(key, fields, count)
  for i = 1, count, 500 do
    redis.call('HDEL', key, unpack(fields, i, math.min(i + 499, count)))
  end
end

-- Removes records that have ended, about 500 at most: a small hash as a whole, a large one piece by
-- piece.
local function tidy(key, now)
  local whole = redis.call('HLEN', key) <= 500
  local dead, next_look, cursor = look(key, now, whole and '0' or progress(key), 500)
  drop(key, dead, #dead)
  if cursor ~= '0' then
    redis.call('HSET', key, 'c', cursor)
  elseif whole then
    redis.call('HSET', key, 'x', moment(next_look or now + 60000000))
  else
    -- Earlier pieces may have records that have ended since: look again in a minute.
    redis.call('HDEL', key, 'c')
    redis.call('HSET', key, 'x', moment(now + 60000000))
  end
end

-- Runs after a write. The key lives at least 'ttl' milliseconds, and records that have ended are
-- removed if it is time for that.
local function keep(key, ttl, now, soonest)
  live_at_least(key, ttl)
  local due = tonumber(redis.call('HGET', key, 'x') or nil)
  if not due or soonest < due then
    due = soonest
    redis.call('HSET', key, 'x', moment(due))
  end
  if due <= now then
    tidy(key, now)
  end
end
