-- How far the look has come; nowhere yet when the mark is none of ours.
local function progress(key)
  local mark = redis.call('HGET', key, 'c') or ''
  return #mark < 21 and string.match(mark, '^%d+$') or '0'
end

-- Looks at about so many fields: those that are of no use any more, when the first of the others ends, and where to go on.
local function look(key, now, cursor, count)
  local fence, elder = standing(key), elder_of(key)
  local found = redis.call('HSCAN', key, cursor, 'COUNT', count)
  local dead, next_look = {}, nil
  for i = 1, #found[2], 2 do
    local field, record = found[2][i], found[2][i + 1]
    if #field > 1 then
      local ends = gone(record)
      -- An access token of version 1 may be a live session's.
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

local function drop(key, fields, count)
  for i = 1, count, 500 do
    redis.call('HDEL', key, unpack(fields, i, math.min(i + 499, count)))
  end
end

-- Removes what has ended, about five hundred records at most: a small key whole, a large one piece by piece.
local function tidy(key, now)
  local whole = redis.call('HLEN', key) <= 500
  local dead, next_look, cursor = look(key, now, whole and '0' or progress(key), 500)
  drop(key, dead, #dead)
  if cursor ~= '0' then
    redis.call('HSET', key, 'c', cursor)
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
